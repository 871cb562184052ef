// Which processes this one can see: those of its own process id namespace. Each container has one, and ids mean
// something only within it.
import { readFileSync, readlinkSync } from 'node:fs'

/**
 * Names the namespace, and the kernel: numbers of namespaces are used again, the first one's is the same on every
 * machine. Undefined where the system has none.
 */
export function processNamespace(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${readlinkSync('/proc/self/ns/pid')}@${boot}`
  } catch {
    return undefined
  }
}
