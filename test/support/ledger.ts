// An independent account of what tasks did, kept beside our own logs and tables: each task instance has a file to
// which its attempts append (O_APPEND) when they begin, after each line that they logged, and when they end:
//   begin TRY PID START MS · line TRY N · child TRY PID START · end TRY PID START MS · overlap TRY OTHER PID
// It also finds by itself whether two attempts overlapped: one that begins looks whether a process of an earlier
// one is alive. The environment variable LEDGER names the directory; `ledgerFiles` go into the Dags' repository.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const writers = join(import.meta.dirname, 'ledger')

/** ledger.ts and account.sh, for the top of the repository. */
export const ledgerFiles: Readonly<Record<string, string>> = Object.fromEntries(
  readdirSync(writers).map((name) => [name, readFileSync(join(writers, name), 'utf8')]),
)

export interface LedgerAttempt {
  tryNumber: number
  pid: number
  beganMs: number
  /** null: it was killed. */
  endedMs: number | null
  /** Numbers of the lines that it had logged. */
  lines: number[]
  children: number[]
}

/** What one task instance's file says. */
export interface LedgerEntry {
  dagId: string
  runId: string
  taskId: string
  /** In the order in which they began; the same number twice means that it ran twice. */
  attempts: LedgerAttempt[]
  /** Attempts that began while a process of an earlier one was alive. */
  overlaps: string[]
}

/** Everything that is in the ledger by now, or what is there of one Dag or one run. */
export function readLedger(directory: string, ofDag?: string, ofRun?: string): LedgerEntry[] {
  return (ofDag === undefined ? list(directory) : [ofDag]).flatMap((dagId) =>
    (ofRun === undefined ? list(join(directory, dagId)) : [ofRun]).flatMap((runId) =>
      list(join(directory, dagId, runId)).map((taskId) =>
        readEntry(join(directory, dagId, runId, taskId), { dagId, runId, taskId }),
      ),
    ),
  )
}

function readEntry(path: string, names: Pick<LedgerEntry, 'dagId' | 'runId' | 'taskId'>): LedgerEntry {
  const entry: LedgerEntry = { ...names, attempts: [], overlaps: [] }
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [what, tryText, ...rest] = line.split(' ')
    const tryNumber = Number(tryText)
    const attempt = entry.attempts.findLast((one) => one.tryNumber === tryNumber)
    const [first, , ms] = rest.map(Number)
    if (what === 'begin') {
      const begun = { tryNumber, pid: first!, beganMs: ms!, endedMs: null, lines: [], children: [] }
      entry.attempts.push(begun)
    } else if (what === 'line') attempt?.lines.push(first!)
    else if (what === 'child') attempt?.children.push(first!)
    else if (what === 'end' && attempt) attempt.endedMs = ms!
    else if (what === 'overlap') entry.overlaps.push(line)
  }
  return entry
}

function list(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}
