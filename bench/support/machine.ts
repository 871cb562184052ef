// The machine as it stands in each line: a figure without it says nothing.
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { median, rounded } from './statistics.ts'

export interface Machine {
  cpu: string
  cores: number
  memory_gib: number
  kernel: string
  node: string
  postgres: string
  /** Of the directory in which Postgres and everything else is: what one durable commit costs at least. */
  fdatasync_ms: number
  /** Of the last minute when the benchmark began: above 0.3 or so, others worked too. */
  load_average: number
}

/** @param directory in which the benchmark works */
export function describeMachine(directory: string, postgresVersion: string): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memory_gib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    postgres: postgresVersion,
    fdatasync_ms: rounded(measureFdatasync(directory)),
    load_average: rounded(loadavg()[0]!),
  }
}

/** Pages of a write-ahead log are 8 kB. */
const pageBytes = 8_192
const fdatasyncRounds = 50

function measureFdatasync(directory: string): number {
  const fd = openSync(join(directory, 'fdatasync'), 'w')
  const page = Buffer.alloc(pageBytes)
  const times = Array.from({ length: fdatasyncRounds }, () => {
    const began = performance.now()
    writeSync(fd, page)
    fdatasyncSync(fd)
    return performance.now() - began
  })
  closeSync(fd)
  return median(times)
}

/** One-minute load as it is now, for the line that is being made. */
export function currentLoad(): number {
  return Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0])
}
