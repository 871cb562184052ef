// What the HTTP servers of a sync have in common: an address in git-sync's form, a start that says why it cannot
// listen, and a stop that waits for no client. What they answer is in http-endpoint.ts and push-listener.ts.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import { parseGoInt } from '../options/go-values.ts'

/** Answers one request. What it throws becomes a 500. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

export interface HttpServer {
  /** @throws ConfigError where the address is taken or not ours */
  start(): Promise<AddressInfo>
  /** Ends every connection, answered or not. May be called twice. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** What a client may take to send its request, where nothing else is said: Node's own default. */
const defaultRequestTimeoutMs = 300_000

/**
 * @param options.bind `:1234`, `127.0.0.1:1234` or `[::1]:1234`
 * @param options.flag the option that it came from, for messages: `--http-bind`
 * @param options.requestTimeoutMs a request that is not whole by then gets a 408
 * @param options.maxConnections further ones are closed at once; default: no limit
 * @throws ConfigError where `bind` is no address
 */
export function createHttpServer(options: {
  bind: string
  flag: string
  handle: HttpHandler
  requestTimeoutMs?: number
  maxConnections?: number
}): HttpServer {
  const { bind, flag, requestTimeoutMs = defaultRequestTimeoutMs } = options
  const address = parseBind(bind, flag)
  const server = createServer(
    {
      requestTimeout: requestTimeoutMs,
      headersTimeout: Math.min(requestTimeoutMs, 60_000),
      // How late a timeout may be noticed.
      connectionsCheckingInterval: Math.min(requestTimeoutMs / 2, 10_000),
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
  if (options.maxConnections !== undefined) server.maxConnections = options.maxConnections

  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', (error) =>
          reject(
            new ConfigError(
              `invalid flag: ${flag} ${bind} cannot be listened on: ${messageOf(error)}. Choose a port that is free, on an address of this machine`,
              { cause: error },
            ),
          ),
        )
        server.listen(address, () => resolve(server.address() as AddressInfo))
      }),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Ends a response with plain text. */
export function answer(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(text)
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

function parseBind(bind: string, flag: string): { port: number; host?: string } {
  const colon = bind.lastIndexOf(':')
  const port = parseGoInt(bind.slice(colon + 1))
  const host = bind.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1')
  if (colon < 0 || port === undefined || port < 0 || port > 65_535) {
    throw new ConfigError(`invalid flag: ${flag} must be :port or address:port, not ${JSON.stringify(bind)}`)
  }
  return host === '' ? { port } : { port, host }
}
