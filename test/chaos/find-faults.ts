// What must hold after everything was killed and everything has finished, whatever happened in between. Each
// function compares two independent accounts (the tasks' ledger, the database, the log files, the processes) and
// answers every fault in words.
import type { Deployment } from '../support/deployment.ts'
import { type LedgerEntry, readLedger } from '../support/ledger.ts'

interface AttemptFacts {
  dag_id: string
  run_id: string
  task_id: string
  try_number: number
  state: string
}

const nameOf = ({ dagId, runId, taskId }: Pick<LedgerEntry, 'dagId' | 'runId' | 'taskId'>) =>
  `${dagId}/${runId}/${taskId}`

/** Every fault; empty where all is well. */
export async function findFaults(deployment: Deployment): Promise<string[]> {
  const ledger = readLedger(deployment.ledger)
  const { rows: attempts } = await deployment.db.query<AttemptFacts>(
    `select r.dag_id, r.run_id, a.task_id, a.try_number, a.state
     from attempt a join dag_run r using (dag_run_id) order by 1, 2, 3, 4`,
  )
  return [
    ...(await faultsOfRows(deployment)),
    ...ledger.flatMap(faultsOfEntry),
    ...faultsBetween(ledger, attempts),
    ...(await faultsOfResults(deployment, ledger)),
    ...ledger.flatMap((entry) => faultsOfLogs(deployment, entry, attempts)),
  ]
}

/** The database by itself: each query finds rows that must not be. */
async function faultsOfRows({ db }: Deployment): Promise<string[]> {
  const rules: Record<string, string> = {
    'a run has not succeeded': `select dag_id, run_id, state from dag_run where state <> 'success'`,
    'a run that has ended has a scheduler': `select dag_id, run_id from dag_run where scheduler_id is not null and end_date is not null`,
    'a task instance has not succeeded': `select dag_run_id, task_id, state from task_instance where state <> 'success'`,
    'an attempt is active': `select dag_run_id, task_id, try_number, state from attempt where state in ('queued', 'running')`,
    'a task instance succeeded more than once, or not': `select dag_run_id, task_id from attempt group by 1, 2 having count(*) filter (where state = 'success') <> 1`,
    'an attempt follows the one that succeeded': `select a.dag_run_id, a.task_id, a.try_number from attempt a join attempt s using (dag_run_id, task_id, map_index) where s.state = 'success' and a.try_number > s.try_number`,
    'try numbers have gaps': `select dag_run_id, task_id from attempt group by 1, 2 having max(try_number) <> count(*)`,
    'task instance and attempts disagree': `select t.dag_run_id, t.task_id, t.try_number from task_instance t where t.try_number <> (select max(try_number) from attempt a where (a.dag_run_id, a.task_id, a.map_index) = (t.dag_run_id, t.task_id, t.map_index))`,
    'a run has not all of its tasks': `select r.dag_id, r.run_id from dag_run r join dag_version v using (dag_version_id) where jsonb_array_length(v.manifest->'tasks') <> (select count(*) from task_instance t where t.dag_run_id = r.dag_run_id)`,
    'a command is left': 'select * from run_command',
    'a module failed to load': 'select file, message from import_error',
  }
  const faults: string[] = []
  for (const [rule, sql] of Object.entries(rules)) {
    const { rows } = await db.query(sql)
    faults.push(...rows.map((row) => `${rule}: ${JSON.stringify(row)}`))
  }
  return faults
}

/** The ledger by itself: an attempt begins once, and never while an earlier one is alive. */
function faultsOfEntry(entry: LedgerEntry): string[] {
  const faults = entry.overlaps.map((line) => `${nameOf(entry)} overlaps: ${line}`)
  for (const [index, { tryNumber, beganMs }] of entry.attempts.entries()) {
    const before = entry.attempts[index - 1]
    if (before === undefined) continue
    if (tryNumber <= before.tryNumber)
      faults.push(`${nameOf(entry)}: attempt ${tryNumber} began after ${before.tryNumber}`)
    if (before.endedMs !== null && before.endedMs > beganMs)
      faults.push(`${nameOf(entry)}: attempt ${tryNumber} began before ${before.tryNumber} ended`)
  }
  return faults
}

/** What succeeded has run to its end, and nothing ran after it or without a row. */
function faultsBetween(ledger: readonly LedgerEntry[], rows: readonly AttemptFacts[]): string[] {
  const faults: string[] = []
  const entries = new Map(ledger.map((entry) => [nameOf(entry), entry]))
  const instances = Map.groupBy(rows, (row) => `${row.dag_id}/${row.run_id}/${row.task_id}`)
  for (const [name, attempts] of instances) {
    const begun = entries.get(name)?.attempts ?? []
    const known = new Map(attempts.map((row) => [row.try_number, row.state]))
    for (const { tryNumber } of begun) {
      if (!known.has(tryNumber)) faults.push(`${name}: attempt ${tryNumber} ran and has no row`)
    }
    const success = attempts.find(({ state }) => state === 'success')?.try_number
    const last = begun.at(-1)
    if (success === undefined || last?.tryNumber !== success)
      faults.push(`${name}: attempt ${success} succeeded, but the last that ran is ${last?.tryNumber}`)
    else if (last.endedMs === null) faults.push(`${name}: attempt ${success} succeeded without its end`)
  }
  for (const name of entries.keys()) if (!instances.has(name)) faults.push(`${name} ran and has no row`)
  return faults
}

/** The kept result is that of the attempt that succeeded. */
async function faultsOfResults({ db }: Deployment, ledger: readonly LedgerEntry[]): Promise<string[]> {
  const { rows } = await db.query<{ name: string; value: string }>(
    `select dag_id || '/' || run_id || '/' || task_id as name, value from xcom join dag_run using (dag_run_id)`,
  )
  const results = new Map(rows.map((row) => [row.name, row.value]))
  return ledger.flatMap((entry) => {
    const last = entry.attempts.at(-1)
    const value = results.get(nameOf(entry))
    // Commands have no result.
    if (last === undefined || value === undefined) return []
    const expected = JSON.stringify({ tryNumber: last.tryNumber, pid: last.pid })
    return value === expected ? [] : [`${nameOf(entry)}: the result is ${value} instead of ${expected}`]
  })
}

/** Each line that an attempt had logged is in its log: once and in order where it succeeded. */
function faultsOfLogs(deployment: Deployment, entry: LedgerEntry, rows: readonly AttemptFacts[]): string[] {
  const { dagId, runId, taskId } = entry
  return entry.attempts.flatMap(({ tryNumber, lines }) => {
    const logged = deployment
      .log(dagId, runId, taskId, tryNumber)
      .flatMap(({ msg }) => /^line (\d+)$/.exec(msg)?.[1] ?? [])
      .map(Number)
    const missing = lines.filter((line) => !logged.includes(line))
    const place = `${nameOf(entry)} attempt ${tryNumber}`
    if (missing.length > 0) return [`${place}: the log lacks the lines ${missing} and has ${logged}`]
    const isSuccess = rows.some(
      (row) =>
        row.dag_id === dagId &&
        row.run_id === runId &&
        row.task_id === taskId &&
        row.try_number === tryNumber &&
        row.state === 'success',
    )
    return isSuccess && String(logged) !== String(lines)
      ? [`${place}: the log has the lines ${logged} instead of ${lines}`]
      : []
  })
}

/** Processes whose parent is none of ours: nobody knows them any more. */
export function findOrphans(deployment: Deployment): string[] {
  const processes = deployment.processes()
  const known = new Set([process.pid, ...processes.map(({ pid }) => pid)])
  return processes
    .filter(({ parentPid }) => !known.has(parentPid))
    .map(({ pid, parentPid, command }) => `${pid} (parent ${parentPid}): ${command}`)
}
