// Processes that are known by a mark in their environment, and their end. Whatever a process starts inherits the
// mark, so that it is found wherever it went: out of its process group, or to another parent when its own died. Linux
// tells a process's environment in /proc, to its own user; elsewhere none is found, and the caller must know others.
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { processIds } from './process-ids.ts'

/** Between two rounds of looking and killing. */
const roundPauseMs = 5

/** Environments that are read at a time. More: where few files may be open, a process is overlooked. Fewer: slower. */
const readAtOnce = 8

/** Whether processes can be found by a mark here. */
export function canFindMarked(): boolean {
  return processIds() !== undefined
}

/**
 * Ids of the other processes whose environment, a list of `NAME=value`, is so marked; none where that cannot be
 * known, nor of zombies, which have no environment.
 */
export async function findMarked(isMarked: (environment: readonly string[]) => boolean): Promise<number[]> {
  const pids = (processIds() ?? []).filter((pid) => pid !== process.pid)
  const found: number[] = []
  for (let first = 0; first < pids.length; first += readAtOnce) {
    const some = pids.slice(first, first + readAtOnce)
    const environments = await Promise.all(some.map(readEnvironment))
    found.push(...some.filter((_, index) => isMarked(environments[index]!)))
  }
  return found
}

/**
 * kill -9 of what is found, again and again until nothing is: a process may start another between the look and the
 * kill.
 * @param find ids; a negative one is a process group's, as for kill(2)
 * @param maxRounds a process that cannot die (a dead network volume) holds the caller up for so many rounds of 5 ms
 * @returns how many there were at first
 */
export async function killUntilGone(find: () => Promise<number[]>, maxRounds: number): Promise<number> {
  let count: number | undefined
  for (let round = 0; round < maxRounds; round += 1) {
    const found = await find()
    count ??= found.length
    if (found.length === 0) break
    for (const pid of found) kill(pid)
    await sleep(roundPauseMs)
  }
  return count ?? 0
}

/** Empty where it cannot be known. */
async function readEnvironment(pid: number): Promise<string[]> {
  return (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0')
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in between.
  }
}
