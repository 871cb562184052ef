// Processes that must have ended. One that nobody has reaped yet (state Z) has.
import { readFileSync } from 'node:fs'
import { expect } from 'vitest'

export async function expectGone(pids: readonly number[]): Promise<void> {
  expect(pids.length).toBeGreaterThan(0)
  await expect.poll(() => pids.filter(isRunning), { timeout: 10_000 }).toEqual([])
}

function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2)[0]!)
  } catch {
    return false
  }
}
