// The answers that do not end by themselves: live events and followed logs. Each ends when its reader goes away,
// and all of them when the server stops, which would otherwise wait for them for ever.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyReply } from 'fastify'
import { messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'

export interface OpenStreams {
  /**
   * Answers 200 at once, before the source gives anything, and then all that it gives, at the reader's pace.
   * @param source ends when its signal fires
   */
  send(
    reply: FastifyReply,
    contentType: string,
    source: (signal: AbortSignal) => AsyncIterable<string | Buffer>,
  ): FastifyReply
  /** Ends all, and each that comes later at once. */
  closeAll(): void
}

/** What a reader's leaving looks like, by the moment at which it does; its own affair, and no fault. */
const readerGoneCodes: ReadonlySet<string | undefined> = new Set([
  'ERR_STREAM_PREMATURE_CLOSE',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_UNABLE_TO_PIPE',
  'ECONNRESET',
  'EPIPE',
])

/** No answer is open yet. */
export function createOpenStreams({ log }: { log: Logger }): OpenStreams {
  const open = new Set<AbortController>()
  let isClosed = false
  return {
    send(reply, contentType, source) {
      const controller = new AbortController()
      if (isClosed) controller.abort()
      open.add(controller)
      // Taken from Fastify, which sends the head with the first byte: a follower would wait for the first line.
      const response = reply.hijack().raw
      response.writeHead(200, {
        'content-type': `${contentType}; charset=utf-8`,
        'cache-control': 'no-store',
        // Proxies of nginx's kind would keep the lines back.
        'x-accel-buffering': 'no',
      })
      response.flushHeaders()
      const { socket } = response
      response.once('close', () => controller.abort())
      pipeline(Readable.from(source(controller.signal), { objectMode: false }), response)
        .catch((error: NodeJS.ErrnoException) => {
          if (readerGoneCodes.has(error.code)) log.debug({ reason: messageOf(error) }, 'reader went away')
          else log.error({ reason: messageOf(error) }, 'stream failed')
        })
        .finally(() => {
          open.delete(controller)
          // Kept alive, the connection would count as one more to wait for.
          if (isClosed) socket?.end()
        })
      return reply
    },
    closeAll() {
      isClosed = true
      for (const controller of open) controller.abort()
    },
  }
}
