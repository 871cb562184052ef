// Kills the process groups of task runners when the scheduler dies without a word. A shell that reads our pids
// from a pipe: the kernel closes the pipe the moment the scheduler is gone, however it went, and the shell kills
// every group that it knows. Runners also end by themselves when their orders pipe closes, but one that is in a
// busy loop does not notice. A shell, because it takes 1 MB, and Node would take 40.
import { type ChildProcess, spawn } from 'node:child_process'
import type { Logger } from '../../../runtime/log.ts'

const script = `
trap '' INT TERM HUP
groups=''
while read -r operation group; do
  case "$operation" in
    add) groups="$groups $group" ;;
    remove)
      rest=''
      for one in $groups; do [ "$one" = "$group" ] || rest="$rest $one"; done
      groups=$rest ;;
  esac
done
for one in $groups; do kill -s KILL -- "-$one" 2>/dev/null; done
`

/** Until a shell that could not be started (no file descriptors, no memory) is tried again. */
const restartMs = 1_000

export interface Reaper {
  start(): void
  /** @param group pid of a process group's leader */
  add(group: number): void
  remove(group: number): void
  /** Ends the reaper; the groups that it still knows are killed. */
  stop(): void
}

export function createReaper(log: Logger): Reaper {
  const groups = new Set<number>()
  let shell: ChildProcess | undefined
  let isStopping = false

  const spawnShell = () => {
    shell = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    // Where no process could be started there may be no pipe to it either.
    shell.stdin?.on('error', () => {})
    shell.on('error', (error) => {
      log.error({ err: error }, 'reaper could not start')
      if (!isStopping) setTimeout(spawnShell, restartMs).unref()
    })
    shell.on('exit', () => {
      if (isStopping) return
      log.warn('reaper died, starting another')
      spawnShell()
    })
    for (const group of groups) shell.stdin?.write(`add ${group}\n`)
    shell.unref()
  }
  return {
    start: spawnShell,
    add(group) {
      groups.add(group)
      shell?.stdin?.write(`add ${group}\n`)
    },
    remove(group) {
      groups.delete(group)
      shell?.stdin?.write(`remove ${group}\n`)
    },
    stop() {
      isStopping = true
      shell?.stdin?.end()
    },
  }
}
