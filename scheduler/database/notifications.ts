// What is said over Postgres' NOTIFY. A notification only wakes: whoever hears it looks at the tables, and a
// periodic look finds what a lost one missed.

/** Where schedulers are woken. */
export const channel = 'branchline'
/** `runs`: a run was queued. `commands`: somebody asked something of a run. */
export type Wake = 'runs' | 'commands'

/** Where it is told that runs changed, as a JSON array of dag_run_ids, or `dags` after a load; for live views. */
export const changesChannel = 'branchline_changes'
