// The attempt's heartbeats: that it lives, for the server; whether it is to end, for us. They are no proof of life that
// anybody waits for, since the pod itself is watched: one that is lost is let go.
import { AttemptNotCurrentError } from '../errors.ts'
import type { CancelReason } from '../task-runner/protocol.ts'
import { memoryPeakBytes } from './container-memory.ts'
import type { ExecutionClient } from './execution-client.ts'

/** Of a heartbeat; the next one comes soon. */
const timeoutMs = 10_000
/** When the pod is told to end: how long the server may take to say why. Longer: less time is left for the task. */
const askWhyMs = 1_000

export interface Heartbeats {
  /** Rejects with AttemptNotCurrentError when the attempt is not the current one any more; never resolves. */
  lost: Promise<never>
  /** Asks once, now. */
  whyTerminated(): Promise<CancelReason>
  stop(): void
}

/** Begins at once, one at a time. @param deps.onCancel may be called again with the same reason */
export function startHeartbeats(deps: {
  client: ExecutionClient
  intervalMs: number
  onCancel: (reason: CancelReason) => void
}): Heartbeats {
  const { client, onCancel } = deps
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => {})
  let isUnderWay = false

  async function beat(): Promise<void> {
    if (isUnderWay) return
    isUnderWay = true
    try {
      const { cancel } = await client.heartbeat({ memory_peak_bytes: memoryPeakBytes() }, timeoutMs)
      if (cancel !== null) onCancel(cancel)
    } catch (error) {
      if (error instanceof AttemptNotCurrentError) lost.reject(error)
    }
    isUnderWay = false
  }

  const timer = setInterval(beat, deps.intervalMs)
  return {
    lost: lost.promise,
    async whyTerminated() {
      const request = { memory_peak_bytes: memoryPeakBytes() }
      const answer = await client.heartbeat(request, askWhyMs).catch(() => null)
      return answer?.cancel ?? 'shutdown'
    },
    stop: () => clearInterval(timer),
  }
}
