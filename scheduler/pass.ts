// A pass: work that reads the present state and writes the difference, so that it may run at any time, twice, or
// once for many wakes. This runs one at a time and once more where a wake came meanwhile.
import { DatabaseUnavailableError, messageOf } from '../runtime/errors.ts'
import type { Logger } from '../runtime/log.ts'

export interface Pass {
  readonly name: string
  /** Makes it run, now or when the present run is over. */
  wake(): void
  isRunning(): boolean
  /** How long the present run has taken by now; 0 where there is none. One that never ends hangs. */
  busyMs(): number
  /** Runs no more; resolves when the present run is over. */
  stop(): Promise<void>
}

/**
 * @param work may throw: a database that is away is left to the next wake, anything else is logged as an error,
 * once as long as it stays the same; either way whoever wakes it periodically has it tried again
 */
export function createPass(name: string, log: Logger, work: () => Promise<void>): Pass {
  let isWoken = false
  let isStopped = false
  let lastMessage: string | undefined
  let running: Promise<void> | undefined
  let begunAt: number | undefined

  const run = async (): Promise<void> => {
    while (isWoken && !isStopped) {
      isWoken = false
      begunAt = performance.now()
      try {
        await work()
        lastMessage = undefined
      } catch (error) {
        if (error instanceof DatabaseUnavailableError) log.debug({ pass: name }, 'pass waits for postgres')
        else if (!isStopped && messageOf(error) !== lastMessage) {
          lastMessage = messageOf(error)
          log.error({ pass: name, err: error }, 'pass failed')
        }
      }
    }
    running = undefined
    begunAt = undefined
  }
  return {
    name,
    wake() {
      isWoken = true
      running ??= run()
    },
    isRunning: () => running !== undefined,
    busyMs: () => (begunAt === undefined ? 0 : performance.now() - begunAt),
    async stop() {
      isStopped = true
      await running
    },
  }
}
