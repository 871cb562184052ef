// The address of `scheduler_health_bind`, for the kubelet's probes and for Prometheus: /livez, /readyz, /metrics. The
// first two answer 200 or 503 with a line for each check, as the API server's do. It runs in the scheduler's own event
// loop on purpose: one that stands answers nothing. What hangs is logged too, since the kubelet says of a probe only
// that it failed, and then ends the process.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import type { HealthCheck, SchedulerHealth } from './scheduler-health.ts'

export interface HealthServer {
  /** @throws ConfigError where the address cannot be listened on */
  start(): Promise<AddressInfo>
  /** Ends every connection. May be called twice. */
  stop(): Promise<void>
}

export interface MetricsPage {
  contentType: string
  /** In Prometheus' text format. */
  text(): Promise<string>
}

/** A client that has not sent its request by then is closed. */
const requestTimeoutMs = 10_000

/**
 * @param deps.bind `:8974`, `127.0.0.1:8974` or `[::1]:8974`
 * @throws ConfigError where `bind` is no address
 */
export function createHealthServer(deps: {
  bind: string
  health: Pick<SchedulerHealth, 'live' | 'ready'>
  metrics: MetricsPage
  log: Logger
}): HealthServer {
  const { bind, metrics, log } = deps
  const address = parseBind(bind)
  const server = createServer(
    { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs },
    (request, response) => {
      request.resume()
      answer(request, response).catch((error: unknown) => {
        log.warn({ error: messageOf(error) }, 'a request for health or metrics failed')
        if (response.headersSent) response.destroy()
        else respond(response, 500, `${messageOf(error)}\n`)
      })
    },
  )

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0]
    if (path === '/livez') respondWith(response, told(deps.health.live()))
    else if (path === '/readyz') respondWith(response, deps.health.ready())
    else if (path === '/metrics') respond(response, 200, await metrics.text(), metrics.contentType)
    else respond(response, 404, 'there is /livez, /readyz and /metrics\n')
  }

  let lastTold = ''
  /** Logs what hangs, once as long as it is the same. */
  function told(checks: HealthCheck[]): HealthCheck[] {
    const hanging = checks.filter(({ isOk }) => !isOk)
    const names = hanging.map(({ name }) => name).join(' ')
    if (names !== '' && names !== lastTold) {
      const messages = hanging.map(({ message }) => message)
      log.error({ hanging: messages }, 'the scheduler hangs and is to be restarted')
    }
    lastTold = names
    return checks
  }

  return {
    start: () =>
      new Promise((resolve, reject) => {
        const refuse = (cause: Error) =>
          reject(
            new ConfigError(
              `scheduler_health_bind ${bind} cannot be listened on: ${messageOf(cause)}. Choose a port that is free, on an address of this machine`,
              { cause },
            ),
          )
        server.once('error', refuse)
        server.listen(address, () => {
          server.off('error', refuse)
          server.on('error', (error) => log.error({ error: messageOf(error) }, 'health server failed'))
          resolve(server.address() as AddressInfo)
        })
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function parseBind(bind: string): { host?: string; port: number } {
  const found = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:]*)):(?<port>\d{1,5})$/.exec(bind)?.groups
  const port = Number(found?.port)
  if (found === undefined || port > 65_535) {
    throw new ConfigError(
      `scheduler_health_bind must be :port or address:port, not ${JSON.stringify(bind)}: write ':8974' or '127.0.0.1:8974'`,
    )
  }
  const host = found.v6 ?? found.name
  return host === undefined || host === '' ? { port } : { host, port }
}

function respondWith(response: ServerResponse, checks: readonly HealthCheck[]): void {
  const lines = checks.map(({ name, isOk, message }) => `[${isOk ? '+' : '-'}] ${name}: ${message}\n`)
  respond(response, checks.every(({ isOk }) => isOk) ? 200 : 503, lines.join(''))
}

function respond(
  response: ServerResponse,
  status: number,
  text: string,
  contentType = 'text/plain; charset=utf-8',
): void {
  const length = String(Buffer.byteLength(text))
  response
    .writeHead(status, {
      'content-type': contentType,
      'content-length': length,
      'cache-control': 'no-store',
    })
    .end(text)
}
