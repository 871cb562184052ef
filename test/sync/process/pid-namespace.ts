// A program as pid 1, as in a container: in a process id namespace of its own, made by util-linux' `unshare`.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { eventually } from '../../support/eventually.ts'

const unshareArguments = ['--pid', '--fork', '--mount-proc', '--kill-child']

/** Why no namespace can be made here; undefined where one can. */
export function namespacesMissing(): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', [...unshareArguments, 'true'], { encoding: 'utf8' })
  if (status === 0) return undefined
  return `no process id namespace can be made (root and util-linux are needed): ${error?.message ?? stderr}`
}

export interface FirstProcess extends AsyncDisposable {
  /** Of pid 1, as it is seen from outside. */
  pid: number
  input: NonNullable<ChildProcess['stdin']>
  stdout(): string
  stderr(): string
  /** Exit code, or 128 + the signal's number. */
  exit: Promise<number>
}

/** Starts the command as pid 1. */
export async function startAsFirst(
  command: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
): Promise<FirstProcess> {
  const child = spawn('/usr/bin/unshare', [...unshareArguments, ...command], { env, stdio: 'pipe' })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.on('error', () => {})
  const exit = new Promise<number>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 128))),
  )
  const { pid } = await eventually('pid 1', () => {
    if (child.exitCode !== null) throw new Error(`ended at once: ${stderr}`)
    return childrenOf(child.pid!)[0]
  })
  return {
    pid,
    input: child.stdin,
    stdout: () => stdout,
    stderr: () => stderr,
    exit,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await exit
    },
  }
}

/** Processes whose parent this is, zombies (`Z`) with the rest. */
export function childrenOf(parent: number): { pid: number; state: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        return Number(ppid) === parent ? [{ pid: Number(pid), state: state! }] : []
      } catch {
        return []
      }
    })
}
