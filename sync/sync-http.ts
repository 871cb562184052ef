// What a sync serves by HTTP, from options: the endpoint of --http-bind with what is asked of it, and the listener
// of --listen. Nothing is loaded that nobody asked for.
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import { createHttpEndpoint, type HttpPages, type SyncStatus } from './http/http-endpoint.ts'
import type { HttpServer } from './http/http-server.ts'
import { createListenSecrets } from './http/listen-secrets.ts'
import { createMetrics } from './http/metrics.ts'
import { createProfilingPages } from './http/profiling-pages.ts'
import { createPushListener } from './http/push-listener.ts'
import { noMetrics, type SyncMetrics } from './http/sync-metrics.ts'
import type { SyncOptions } from './options/options.ts'

/** What is measured, with the page that shows it where one is wanted. */
export interface ServedMetrics {
  metrics: SyncMetrics
  /** undefined: metrics are off. */
  page?: HttpPages
}

/** Metrics cost memory, so they are made only where somebody can read them. */
export async function createServedMetrics(options: SyncOptions, clock: Clock): Promise<ServedMetrics> {
  if (options.httpBind === '' || !options.httpMetrics) return { metrics: noMetrics }
  const registry = await createMetrics({ clock })
  return { metrics: registry, page: registry }
}

/**
 * Starts what the options ask for.
 * @param deps.running each server is added to it as it starts, so that its disposal stops them
 * @throws ConfigError where an address cannot be listened on, or the secret of --listen is missing
 */
export async function startHttpServers(deps: {
  options: SyncOptions
  isReady: () => boolean
  status: () => SyncStatus
  metricsPage: HttpPages | undefined
  argv: readonly string[]
  redact: (text: string) => string
  onSync: () => void
  running: AsyncDisposableStack
  log: Logger
}): Promise<void> {
  const { options, log, onSync, running } = deps
  const start = async (server: HttpServer, message: string): Promise<void> => {
    const { address, port } = await server.start()
    running.use(server)
    log.info({ address, port }, message)
  }
  if (options.httpBind !== '') {
    const profiling = options.httpPprof ? await createProfilingPages(deps) : undefined
    const { isReady, status, metricsPage: metrics } = deps
    const pages = { ...(metrics && { metrics }), ...(profiling && { profiling }) }
    await start(
      createHttpEndpoint({ bind: options.httpBind, isReady, status, onSync, log, ...pages }),
      'serving HTTP',
    )
  }
  if (options.listen !== '') {
    const secrets = createListenSecrets({
      secretFile: options.listenSecretFile,
      secret: options.listenSecret,
    })
    // A secret that is missing is told now and not to the first who pushes.
    await secrets()
    await start(
      createPushListener({ bind: options.listen, secrets, ref: options.ref, log, onPush: onSync }),
      'listening for push notifications',
    )
  }
}
