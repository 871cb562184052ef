// The git processes that work on a root, and their end. git starts helpers (git-remote-https, ssh, upload-pack)
// which a signal to git alone would leave behind, holding locks and writing on. All of them inherit two marks in
// their environment: the root, by which the next sync finds what a killed one left, and the run, which tells one
// command of one sync from another. Where no marks can be read (elsewhere than on Linux) this process's descendants
// take their place: runs are not told apart there, and what a killed sync left running is not found.
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { promisify } from 'node:util'
import { canFindMarked, findMarked, killUntilGone } from '../../runtime/marked-processes.ts'
import { uniqueName } from '../../runtime/unique-name.ts'

/** Environment variable whose value is the root that a git process works on, as `rootMarkOf` has it. */
export const rootMark = 'BRANCHLINE_SYNC_ROOT'
/** Environment variable whose value is the sync and the command that a git process belongs to. */
export const runMark = 'BRANCHLINE_SYNC_RUN'

/** Rounds of looking and killing, 5 ms each. More: git that cannot die holds up the end of the program. */
const maxKillRounds = 20

/** Of this process; a sync that is started later has another, whatever its process id. */
const thisSync = uniqueName()

/**
 * The value of `rootMark`. The path alone would not do: another sync that can be seen may have another volume at the
 * same path, in a mount namespace of its own. A root that is absent is known by its path.
 */
export function rootMarkOf(root: string): string {
  const found = statSync(root, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? root : `${found.dev}:${found.ino}:${root}`
}

/** The value of `runMark` for one command, all of whose processes are to be ended together. */
export function createRun(): string {
  return `${thisSync}.${uniqueName()}`
}

/** Whether a process with this environment belongs to a command of this very sync. */
export function isOfThisSync(environment: readonly string[]): boolean {
  return environment.some((entry) => entry.startsWith(`${runMark}=${thisSync}.`))
}

/** Process ids of the git processes that work on the root, ours and those of an earlier sync. */
export async function gitProcessesOf(root: string): Promise<number[]> {
  return canFindMarked() ? findMarked(isOfRoot(root)) : descendantsOf(process.pid)
}

/** Ends all git processes that work on the root, at once; returns how many there were at first. */
export async function killGitProcesses(root: string): Promise<number> {
  return killUntilGone(() => gitProcessesOf(root), maxKillRounds)
}

/** Ends those that work on the root for another sync than this one, which is dead; returns how many there were. */
export async function killLeftGitProcesses(root: string): Promise<number> {
  const isHere = isOfRoot(root)
  const find = () => findMarked((environment) => isHere(environment) && !isOfThisSync(environment))
  return killUntilGone(find, maxKillRounds)
}

/** Ends a command that runs, with all helpers. Nothing where it has not begun. */
export async function killRun(run: string): Promise<void> {
  if (canFindMarked()) await killHelpers(run)
  else await killUntilGone(() => descendantsOf(process.pid), maxKillRounds)
}

/** Ends what a command that is dead left running. */
export async function killHelpers(run: string): Promise<void> {
  await killUntilGone(
    () => findMarked((environment) => environment.includes(`${runMark}=${run}`)),
    maxKillRounds,
  )
}

function isOfRoot(root: string): (environment: readonly string[]) => boolean {
  const entry = `${rootMark}=${rootMarkOf(root)}`
  return (environment) => environment.includes(entry)
}

/**
 * Children of a process, theirs, and so on, by `ps`, as far as they are in its process group: hooks and the gate,
 * which have groups of their own, are none of git's. Empty where there is no `ps`.
 */
export async function descendantsOf(ancestor: number): Promise<number[]> {
  const looking = promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,pgid='])
  const { stdout } = await looking.catch(() => ({ stdout: '' }))
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number, number])
  const group = rows.find(([pid]) => pid === ancestor)?.[2]
  const found = new Set([ancestor])
  for (let size = 0; size !== found.size; ) {
    size = found.size
    for (const [pid, parent, itsGroup] of rows) if (found.has(parent) && itsGroup === group) found.add(pid)
  }
  found.delete(ancestor)
  found.delete(looking.child.pid ?? ancestor)
  return [...found]
}
