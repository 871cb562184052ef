// What the HTTP servers of a sync have in common: an address in git-sync's form, a start that says why it cannot
// listen, and a stop that waits for no client. What they answer is in http-endpoint.ts and push-listener.ts.
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import { parseBindAddress } from './bind-address.ts'

/** Answers one request. What it throws becomes a 500. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

export interface HttpServer {
  /** @throws ConfigError where the address is taken or not ours */
  start(): Promise<AddressInfo>
  /** Ends every connection, answered or not. May be called twice. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A client that has not sent its headers by then is closed. Longer: idle connections keep others out. */
const headersTimeoutMs = 10_000
/**
 * Connections at once. More: strangers use up the files that git needs to be started. Fewer: probes and metrics of a
 * busy cluster are turned away.
 */
const defaultMaxConnections = 256
/** Of the files that may be open, so many of a hundred are for connections: the rest is for git and the root. */
const connectionShare = 0.25

/** What a client may take to send its request, where nothing else is said: Node's own default. */
const defaultRequestTimeoutMs = 300_000

/**
 * @param options.bind `:1234`, `127.0.0.1:1234` or `[::1]:1234`
 * @param options.flag the option that it came from, for messages: `--http-bind`
 * @param options.requestTimeoutMs a request that is not whole by then gets a 408
 * @param options.log told of what goes wrong with the server after its start
 * @param options.maxConnections further ones are closed at once; default 256, fewer where few files may be open
 * @throws ConfigError where `bind` is no address
 */
export function createHttpServer(options: {
  bind: string
  flag: string
  handle: HttpHandler
  requestTimeoutMs?: number
  maxConnections?: number
  log: Logger
}): HttpServer {
  const { bind, flag, requestTimeoutMs = defaultRequestTimeoutMs, log } = options
  const address = parseBindAddress(bind, flag)
  const server = createServer(
    {
      requestTimeout: requestTimeoutMs,
      headersTimeout: Math.min(requestTimeoutMs, headersTimeoutMs),
      // How late a timeout may be noticed.
      connectionsCheckingInterval: Math.min(requestTimeoutMs / 2, headersTimeoutMs / 2),
    },
    async (request, response) => {
      try {
        await options.handle(request, response)
      } catch (error) {
        if (response.headersSent) response.destroy()
        else answer(response, 500, `${messageOf(error)}\n`)
      }
    },
  )
  server.maxConnections = Math.min(options.maxConnections ?? defaultMaxConnections, filesForConnections())

  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return {
    start: () =>
      new Promise((resolve, reject) => {
        const refuse = (error: Error): void =>
          reject(
            new ConfigError(
              `invalid flag: ${flag} ${bind} cannot be listened on: ${messageOf(error)}. Choose a port that is free, on an address of this machine`,
              { cause: error },
            ),
          )
        server.once('error', refuse)
        server.listen(address, () => {
          server.off('error', refuse)
          // A connection that could not be taken, for want of files for instance: the next one may be.
          server.on('error', (error) => log.error({ error: messageOf(error), bind }, 'HTTP server failed'))
          resolve(server.address() as AddressInfo)
        })
      }),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** By the limit on open files of this process; Linux tells it in /proc. At least one. */
function filesForConnections(): number {
  let limits = ''
  try {
    limits = readFileSync('/proc/self/limits', 'utf8')
  } catch {
    // Elsewhere than on Linux; the default is below the usual limits.
  }
  const [, limit = 'unlimited'] = /^Max open files +(\S+)/m.exec(limits) ?? []
  return limit === 'unlimited'
    ? Number.POSITIVE_INFINITY
    : Math.max(1, Math.floor(Number(limit) * connectionShare))
}

/** Ends a response with plain text, whose length is told: probes as old as HTTP/1.0 need no chunks. */
export function answer(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  const length = String(Buffer.byteLength(text))
  response
    .writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': length, ...headers })
    .end(text)
}

/** The path of a request without its query. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0]!
}

/** The query of a request. */
export function queryOf(request: IncomingMessage): URLSearchParams {
  const url = request.url ?? ''
  const mark = url.indexOf('?')
  return new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1))
}
