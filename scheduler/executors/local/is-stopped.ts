// Whether somebody stopped a process (SIGSTOP, a debugger): the one case in which a silent task runner is a zombie.
// One that is silent for another reason works: a busy loop or a synchronous call holds its event loop, not its life,
// and how long it may is what execution_timeout says.
import { readFileSync } from 'node:fs'

/** False where the process runs, sleeps or is gone, and where the system has no /proc. */
export function isStopped(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // After the command's closing parenthesis: one letter; T is stopped, t is traced.
    return 'Tt'.includes(stat[stat.lastIndexOf(')') + 2]!)
  } catch {
    return false
  }
}
