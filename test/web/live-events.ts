// A client of the live events, for tests.
import type { LiveEvent } from '../../web/server/schemas/live-event.ts'
import { eventually } from '../support/eventually.ts'

export interface LiveClient extends AsyncDisposable {
  /** All so far; `text` also has comments. */
  events: LiveEvent[]
  text(): string
  /** The first event from now on, or not yet taken, that fits. */
  next<Name extends LiveEvent['event']>(
    name: Name,
    fits?: (data: Extract<LiveEvent, { event: Name }>['data']) => boolean,
  ): Promise<Extract<LiveEvent, { event: Name }>['data']>
  /** Fulfilled when the server ends the stream, rejected when it breaks. */
  ended: Promise<void>
}

/** Resolves when the server has begun the stream. */
export async function subscribe(url: string, query = ''): Promise<LiveClient> {
  const aborting = new AbortController()
  const response = await fetch(`${url}/api/v2/events${query}`, { signal: aborting.signal })
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
  const events: LiveEvent[] = []
  let text = ''
  const read = async (): Promise<void> => {
    let rest = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const parts = (rest + chunk).split('\n\n')
      rest = parts.pop()!
      for (const part of parts) {
        const match = /^event: (\w+)\ndata: (.*)$/.exec(part)
        if (match) events.push({ event: match[1], data: JSON.parse(match[2]!) } as LiveEvent)
      }
    }
  }
  const ended = read()
  ended.catch(() => {})
  let taken = 0
  return {
    events,
    text: () => text,
    ended,
    next: (name, fits = () => true) =>
      eventually<never>(`event ${name} in ${text}`, () => {
        for (; taken < events.length; taken += 1) {
          const one = events[taken]!
          if (one.event === name && fits(one.data as never)) {
            taken += 1
            return one.data as never
          }
        }
        return undefined
      }),
    async [Symbol.asyncDispose]() {
      aborting.abort()
      await ended.catch(() => {})
    },
  }
}
