// What `dev` says while it runs: what changed since it last looked, one line each. Pure: state before and after in,
// lines out.
import type { Dag } from '../../web/server/schemas/dag.ts'
import type { DagRun } from '../../web/server/schemas/dag-run.ts'
import type { ImportError } from '../../web/server/schemas/monitoring.ts'
import { stateSymbol } from '../output/state.ts'
import type { Style } from '../output/style.ts'
import { shortDuration } from '../output/time.ts'
import type { PublishedCommit } from './commit-subject.ts'

/** What is live. */
export interface Snapshot {
  dags: readonly Dag[]
  importErrors: readonly ImportError[]
  /** undefined: a plain directory, or nothing yet. */
  commit: PublishedCommit | undefined
}

/** Lines about a load that differs from the one before. */
export function changeLines(before: Snapshot, after: Snapshot, style: Style): string[] {
  const isNewCommit = after.commit !== undefined && after.commit.sha !== before.commit?.sha
  const changes = dagChanges(before.dags, after.dags)
  const told = changes.length === 0 ? 'no Dag changed' : changes.join(', ')
  return [
    ...(isNewCommit
      ? [`${style('green', '↑')} ${commitText(after.commit!, style)} is live: ${told}`]
      : changes.length === 0
        ? []
        : [`${style('green', '↑')} live: ${told}`]),
    ...importErrorLines(before.importErrors, after.importErrors, style),
  ]
}

/** `1a2b3c4 Say hello`. */
export function commitText({ sha, subject }: PublishedCommit, style: Style): string {
  return [style('yellow', sha.slice(0, 7)), ...(subject === '' ? [] : [subject])].join(' ')
}

function dagChanges(before: readonly Dag[], after: readonly Dag[]): string[] {
  const known = new Map(before.map((dag) => [dag.dag_id, dag]))
  const found = new Set(after.map((dag) => dag.dag_id))
  const changed = after.flatMap(({ dag_id, version_number }) => {
    const old = known.get(dag_id)
    if (old === undefined) return [`${dag_id} is new`]
    return old.version_number === version_number ? [] : [`${dag_id} is version ${version_number}`]
  })
  const gone = before.filter(({ dag_id }) => !found.has(dag_id)).map(({ dag_id }) => `${dag_id} is gone`)
  return [...changed, ...gone]
}

/** Also those that say something else now. */
function importErrorLines(
  before: readonly ImportError[],
  after: readonly ImportError[],
  style: Style,
): string[] {
  const known = new Map(before.map((error) => [error.file, error.message]))
  const broken = new Set(after.map((error) => error.file))
  return [
    ...after.filter(({ file, message }) => known.get(file) !== message).map((e) => importErrorLine(e, style)),
    ...before
      .filter(({ file }) => !broken.has(file))
      .map(({ file }) => `${style('green', '✓')} import error fixed: ${file}`),
  ]
}

/** `✗ import error: daily.ts:3:5: …`, with the hint below it. The error may be in a helper of the module. */
export function importErrorLine(error: ImportError, style: Style): string {
  const { file, error_file: errorFile, line, column, message, hint } = error
  const place = [errorFile, line, column].filter((part) => part !== null).join(':')
  const module = errorFile === file ? '' : ` (imported by ${file})`
  const advice = hint === null ? '' : `\n    ${style('dim', hint)}`
  return `${style('red', '✗')} import error: ${style('bold', place)}${module}: ${message}${advice}`
}

/**
 * A line about a run that changed.
 * @param failures what its failed tasks said; only for a failed run
 */
export function runLine(run: DagRun, style: Style, failures: readonly string[] = []): string {
  const head = `${stateSymbol(run.state, style)} ${style('bold', run.dag_id)} ${style('dim', run.run_id)}`
  const took = run.duration === null ? '' : ` in ${shortDuration(run.duration * 1_000)}`
  if (run.state === 'success') return `${head} done${took}`
  if (run.state !== 'failed') return `${head} ${run.state === 'running' ? 'started' : run.state}`
  return [`${head} ${style('red', 'failed')}${took}`, ...failures.map((text) => `    ${text}`)].join('\n')
}
