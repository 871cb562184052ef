// A control group with a limit on its memory, as a container has one.
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface MemoryGroup extends Disposable {
  /** Puts before a command what makes it run in the group. */
  prefix: string[]
}

/** Undefined where this machine does not let us make one. Remove it when nothing runs in it any more. */
export function createMemoryGroup(limitBytes: number): MemoryGroup | undefined {
  const name = `branchline-test-${process.pid}`
  return (
    makeGroup(join('/sys/fs/cgroup/memory', name), 'memory.limit_in_bytes', limitBytes) ??
    makeGroup(join('/sys/fs/cgroup', name), 'memory.max', limitBytes)
  )
}

function makeGroup(path: string, limitFile: string, limitBytes: number): MemoryGroup | undefined {
  try {
    mkdirSync(path)
  } catch {
    return undefined
  }
  try {
    writeFileSync(join(path, limitFile), String(limitBytes))
  } catch {
    rmdirSync(path)
    return undefined
  }
  return {
    prefix: ['sh', '-c', `echo $$ > ${join(path, 'cgroup.procs')} && exec "$@"`, 'sh'],
    [Symbol.dispose]: () => rmdirSync(path),
  }
}
