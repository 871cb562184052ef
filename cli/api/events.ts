// Server-sent events, as text/event-stream defines them, for the API's live events. Only what the API sends is
// read: `event:` and `data:` lines, a blank line after each event, comments as heartbeats.
import type { LiveEvent } from '../../web/server/schemas/live-event.ts'
import type { Api } from './client.ts'
import { path } from './client.ts'
import { linesOf } from './lines.ts'

/**
 * Live events until the connection ends, which it may at any time: call again, and what was missed comes first.
 * @throws ApiUnreachableError where the connection cannot be made or breaks; AbortError when the signal fires
 */
export async function* liveEvents(
  api: Api,
  query: { dag_id?: string; run_id?: string },
  signal: AbortSignal,
): AsyncGenerator<LiveEvent> {
  yield* parseEvents(linesOf(await api.stream(path`/events`, query, signal)))
}

/** @param lines of the stream, without their newlines */
export async function* parseEvents(lines: AsyncIterable<string>): AsyncGenerator<LiveEvent> {
  let event = ''
  let data: string[] = []
  for await (const line of lines) {
    if (line === '') {
      if (data.length > 0) yield { event, data: JSON.parse(data.join('\n')) } as LiveEvent
      event = ''
      data = []
    } else if (line.startsWith('event:')) event = textAfterColon(line)
    else if (line.startsWith('data:')) data.push(textAfterColon(line))
  }
}

/** What stands after the colon and one space. */
function textAfterColon(line: string): string {
  return line.slice(line.indexOf(':') + 1).replace(/^ /, '')
}
