// Ends the embedded Postgres when `dev` was killed. Postgres does not know us and would stay; the guard is a shell
// that waits for the end of a pipe which only `dev` holds open, so the kernel wakes it whatever happened to `dev`.
// A shell, because it costs 1 MB where another Node would cost 40.
import { spawn } from 'node:child_process'

/** SIGINT is Postgres' fast shutdown: open transactions are rolled back, nothing committed is lost. */
const script = 'while read -r line; do [ "$line" = done ] && exit; done; kill -INT "$1" 2>/dev/null'

/**
 * Ends the server `pid` when this process is gone.
 * @param exited resolves when the server has ended by itself, and the guard has nothing to guard
 */
export function guardPostgres(pid: number, exited: Promise<unknown>): void {
  const guard = spawn('/bin/sh', ['-c', script, 'branchline-postgres-guard', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // Without a guard the next start adopts the server.
  guard.on('error', () => {})
  guard.stdin.on('error', () => {})
  guard.unref()
  void exited.then(() => guard.stdin.end('done\n'))
}
