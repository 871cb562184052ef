// The last that an attempt says: how it ended, with its result and what proves that it came through whole.
import { createHash } from 'node:crypto'
import { InvalidInputError, messageOf } from '../errors.ts'
import type { FinishRequest } from '../execution-api.ts'
import type { AttemptEnd } from './attempt-runner.ts'
import { memoryPeakBytes } from './container-memory.ts'
import type { ExecutionClient } from './execution-client.ts'

/**
 * Until it is taken.
 * @returns what was taken: one that the server can never take becomes a failure that says so, which it can
 * @throws AttemptNotCurrentError
 */
export async function reportEnd(client: ExecutionClient, end: AttemptEnd): Promise<AttemptEnd> {
  try {
    await client.finish(finishRequest(end))
    return end
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    const message = `the result was not taken: ${messageOf(error)}`
    const refused: AttemptEnd = {
      ...end,
      state: 'failed',
      retryable: false,
      result: null,
      error: { name: 'ReportRefused', message, stack: null },
    }
    await client.finish(finishRequest(refused))
    return refused
  }
}

function finishRequest(end: AttemptEnd): FinishRequest {
  return {
    ...end,
    result_sha256: end.result === null ? null : createHash('sha256').update(end.result).digest('hex'),
    memory_peak_bytes: memoryPeakBytes(),
  }
}
