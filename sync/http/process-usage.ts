// What this process uses of its machine, as the process_* metrics of every Prometheus client tell it. Linux says
// all of it in /proc; elsewhere the parts that only /proc knows are absent.
import { readdir, readFile } from 'node:fs/promises'

/** Undefined: this system does not say. */
export interface ProcessUsage {
  cpuSeconds: number
  startTimeSeconds: number
  residentBytes: number
  virtualBytes: number | undefined
  virtualMaxBytes: number | undefined
  openFds: number | undefined
  maxFds: number | undefined
}

export async function readProcessUsage(): Promise<ProcessUsage> {
  const [status, limits, fds] = await Promise.all([
    readFile('/proc/self/status', 'utf8').catch(() => ''),
    readFile('/proc/self/limits', 'utf8').catch(() => ''),
    readdir('/proc/self/fd').catch(() => undefined),
  ])
  const { user, system } = process.cpuUsage()
  const virtualKib = /^VmSize:\s+(\d+) kB$/m.exec(status)?.[1]
  return {
    cpuSeconds: (user + system) / 1e6,
    startTimeSeconds: performance.timeOrigin / 1_000,
    residentBytes: process.memoryUsage.rss(),
    virtualBytes: virtualKib === undefined ? undefined : Number(virtualKib) * 1_024,
    virtualMaxBytes: softLimit(limits, 'Max address space'),
    // Without the one by which the folder is being read.
    openFds: fds === undefined ? undefined : fds.length - 1,
    maxFds: softLimit(limits, 'Max open files'),
  }
}

/** Unlimited is 2^64 - 1, as Go's client has it. */
function softLimit(limits: string, name: string): number | undefined {
  const text = new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(limits)?.[1]
  if (text === undefined) return undefined
  return text === 'unlimited' ? 2 ** 64 : Number(text)
}
