// What the kernel says about the memory of this container: its highest use, and whether it killed somebody for it.
// Read from the control group, version 1 or 2, as it is mounted in a container or on a machine.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const mount = '/sys/fs/cgroup'

/** Highest use so far, in bytes; null where the kernel does not tell (version 2 before Linux 5.19). */
export function memoryPeakBytes(): number | null {
  const text = readFirst('memory.peak', 'memory.max_usage_in_bytes')
  const bytes = Number(text ?? Number.NaN)
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null
}

/** How many processes of the container were killed because it was out of memory; null where the kernel does not tell. */
export function oomKillCount(): number | null {
  const count = /^oom_kill (\d+)$/m.exec(readFirst('memory.events', 'memory.oom_control') ?? '')?.[1]
  return count === undefined ? null : Number(count)
}

/** @param v2 file of version 2, @param v1 file of the memory controller of version 1 */
function readFirst(v2: string, v1: string): string | null {
  for (const path of [...placesOf(v2, v1)]) {
    try {
      return readFileSync(path, 'utf8').trim()
    } catch {
      // Not this version, or not this place.
    }
  }
  return null
}

/** In a container its own group is the top of the mount; elsewhere it is where the kernel says. */
function* placesOf(v2: string, v1: string): Generator<string> {
  const groups = ownGroups()
  const unified = groups.get('')
  const memory = groups.get('memory')
  if (unified !== undefined) yield join(mount, unified, v2)
  yield join(mount, v2)
  if (memory !== undefined) yield join(mount, 'memory', memory, v1)
  yield join(mount, 'memory', v1)
}

/** Controller → path of the group; '' is the unified hierarchy. */
function ownGroups(): Map<string, string> {
  const groups = new Map<string, string>()
  try {
    for (const line of readFileSync('/proc/self/cgroup', 'utf8').split('\n')) {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
      for (const controller of controllers?.split(',') ?? []) groups.set(controller, path!)
    }
  } catch {
    // No Linux.
  }
  return groups
}
