// What is said over Postgres' NOTIFY. A notification only wakes: whoever hears it looks at the tables, and a
// periodic look finds what a lost one missed.

/** Where schedulers are woken. */
export const channel = 'branchline'
/**
 * `runs`: a run was queued. `commands`: somebody asked something of a run. `dags`: a Dag was unpaused. `pods`: something
 * was seen of pods, or reported by their attempts.
 */
export type Wake = 'runs' | 'commands' | 'dags' | 'pods'

/** Where live views are told that runs changed, as a JSON array of dag_run_ids, or `dagsChanged`. */
export const changesChannel = 'branchline_changes'

/** Payload on the channel of changes: the list of Dags is to be read again. */
export const dagsChanged = 'dags'
