// The HTTP endpoint of --http-bind. As git-sync: every path and method tells readiness, 503 until a commit is
// published and 200 from then on. Ours: POST /sync syncs at once. It takes no secret and does no more than the
// period would, so it is open to this machine and nobody else.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import { parseGoInt } from '../options/go-values.ts'

/** Path of the request that syncs at once. */
const syncPath = '/sync'

export interface HttpEndpoint {
  /** @throws ConfigError where the address is taken or not ours */
  start(): Promise<AddressInfo>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * @param deps.bind `:1234`, `127.0.0.1:1234` or `[::1]:1234`
 * @throws ConfigError where it is none of these
 */
export function createHttpEndpoint(deps: {
  bind: string
  isReady: () => boolean
  onSync: () => void
}): HttpEndpoint {
  const address = parseBind(deps.bind)
  const server = createServer((request, response) => {
    request.resume()
    if (request.method === 'POST' && request.url?.split('?', 1)[0] === syncPath) acceptSync(request, response)
    else if (deps.isReady()) answer(response, 200, '')
    else answer(response, 503, 'repo is not ready\n')
  })

  function acceptSync(request: IncomingMessage, response: ServerResponse): void {
    if (!isLoopback(request.socket.remoteAddress ?? '')) {
      answer(response, 403, `POST ${syncPath} is taken from this machine only\n`)
      return
    }
    deps.onSync()
    answer(response, 202, 'sync requested\n')
  }

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
              `invalid flag: --http-bind ${deps.bind} cannot be listened on: ${messageOf(error)}. Choose a port that is free, on an address of this machine`,
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

function parseBind(bind: string): { port: number; host?: string } {
  const colon = bind.lastIndexOf(':')
  const port = parseGoInt(bind.slice(colon + 1))
  const host = bind.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1')
  if (colon < 0 || port === undefined || port < 0 || port > 65_535) {
    throw new ConfigError(
      `invalid flag: --http-bind must be :port or address:port, not ${JSON.stringify(bind)}`,
    )
  }
  return host === '' ? { port } : { port, host }
}

function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\./.test(address) || address === '::1'
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
}
