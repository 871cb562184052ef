// A view as server-sent events (the HTML standard's text/event-stream). The reader's pace rules: while it does not
// take what it was sent, changes only add to what is pending.
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseUnavailableError } from '../../../runtime/errors.ts'
import type { LiveEvent } from '../schemas/live-event.ts'
import type { ChangeFeed } from './change-feed.ts'
import { collectChanges, type Pending } from './pending-changes.ts'
import type { View } from './views.ts'

/**
 * Proxies cut connections on which nothing is said, usually after 30 to 60 s. Also how late a change is told whose
 * notification was lost.
 */
const defaultHeartbeatMs = 15_000

/** Between two looks for one reader. Shorter: a busy run is read, and sent, hundreds of times a second. */
const lookIntervalMs = 50
/** And so many times as long as the look took: a run with 10,000 tasks may not keep the server busy. */
const restAfterLook = 4

/** After a look that failed because Postgres is away. */
const retryMs = 500

/** The stream's text, until `signal` fires. */
export async function* eventStream(input: {
  feed: ChangeFeed
  view: View
  signal: AbortSignal
  /** Default 15 s. */
  heartbeatMs?: number
}): AsyncGenerator<string> {
  const { view, signal, heartbeatMs = defaultHeartbeatMs } = input
  using changes = collectChanges(input.feed, signal)
  changes.giveBack(view.first)
  yield ': connected\n\n'
  while (!signal.aborted) {
    if (changes.isEmpty()) {
      await changes.wait(heartbeatMs)
      if (changes.isEmpty()) {
        if (!signal.aborted) yield ': heartbeat\n\n'
        // Finds what a lost notification missed.
        changes.giveBack(view.first)
        continue
      }
    }
    const taken = changes.take()
    const begin = performance.now()
    const events = await look(view, taken)
    const lookMs = performance.now() - begin
    if (events === undefined) changes.giveBack(taken)
    else for (const event of events) yield eventText(event)
    const restMs = events === undefined ? retryMs : Math.max(lookIntervalMs, lookMs * restAfterLook)
    await sleep(restMs, undefined, { signal }).catch(() => {})
  }
}

/** Undefined while Postgres is away. */
async function look(view: View, pending: Pending): Promise<LiveEvent[] | undefined> {
  try {
    return await view.eventsFor(pending)
  } catch (error) {
    if (error instanceof DatabaseUnavailableError) return undefined
    throw error
  }
}

function eventText({ event, data }: LiveEvent): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}
