// The server as a part: everything that it needs is handed in, start() listens, stop() ends every answer. It keeps
// nothing but connections, so there may be any number of them, and it waits for nothing at its start: while Postgres
// is away it answers 503.
import type { AddressInfo } from 'node:net'
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import type { Database } from '../../scheduler/database/connection.ts'
import { type ApiApp, createApiApp } from './api-app.ts'
import { type ExecutionDeps, executionRoutes } from './execution/execution-routes.ts'
import { type ChangeFeed, createChangeFeed } from './live/change-feed.ts'
import { createOpenStreams, type OpenStreams } from './open-streams.ts'
import { dagRunRoutes } from './routes/dag-runs.ts'
import { dagRoutes } from './routes/dags.ts'
import { eventRoutes } from './routes/events.ts'
import { monitoringRoutes } from './routes/monitoring.ts'
import { podRoutes } from './routes/pods.ts'
import { probeRoutes } from './routes/probes.ts'
import { taskInstanceRoutes } from './routes/task-instances.ts'

export interface WebServer extends AsyncDisposable {
  /**
   * Once.
   * @param address.port 0: any free one
   * @throws ConfigError where the address cannot be listened on
   */
  start(address: { host: string; port: number }): Promise<WebAddress>
  /** Within a second, whoever is still connected. May be called twice. */
  stop(): Promise<void>
}

interface WebAddress {
  host: string
  port: number
  /** `http://127.0.0.1:8080`, without a slash at its end. */
  url: string
}

/** How long answers that are under way may take to end; they are cut off after it. */
const stopGraceMs = 500

export function createWebServer(deps: {
  db: Database
  logsDir: string
  log: Logger
  version: string
  /** Whether the database has answered; default: as if it had. */
  isReady?: () => boolean
  /** For attempts in pods; undefined: there are none, and no routes for them. */
  execution?: Pick<ExecutionDeps, 'identification' | 'settings'> | undefined
}): WebServer {
  const { db, execution, isReady = () => true, log, logsDir, version } = deps
  let running: { app: ApiApp; feed: ChangeFeed; streams: OpenStreams } | undefined

  const stop = async (): Promise<void> => {
    if (running === undefined) return
    const { app, feed, streams } = running
    running = undefined
    streams.closeAll()
    const cutOff = setTimeout(() => app.server.closeAllConnections(), stopGraceMs)
    await Promise.all([app.close(), feed.stop()])
    clearTimeout(cutOff)
  }

  return {
    async start({ host, port }) {
      const app = await createApiApp({ log, version, host })
      const feed = createChangeFeed({ db, log })
      const streams = createOpenStreams({ log })
      const routeDeps = { db, feed, streams, logsDir, version }
      dagRoutes(app, routeDeps)
      dagRunRoutes(app, routeDeps)
      taskInstanceRoutes(app, routeDeps)
      podRoutes(app, routeDeps)
      monitoringRoutes(app, routeDeps)
      eventRoutes(app, routeDeps)
      probeRoutes(app, { isReady })
      if (execution !== undefined) await executionRoutes(app, { db, logsDir, ...execution })
      await listen(app, host, port)
      feed.start()
      running = { app, feed, streams }
      const address = app.server.address() as AddressInfo
      const name = host.includes(':') ? `[${host}]` : host
      return { host, port: address.port, url: `http://${name}:${address.port}` }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

const adviceFor: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'another program listens there: end it, or choose another port (web_port; 0 takes any free one)',
  EADDRNOTAVAIL: 'this machine has no such address: choose one of its own (web_host)',
  ENOTFOUND: 'the name has no address: choose an address of this machine (web_host)',
  EACCES: 'this user may not listen on ports below 1024: choose a higher one (web_port)',
}

async function listen(app: ApiApp, host: string, port: number): Promise<void> {
  try {
    await app.listen({ host, port })
  } catch (cause) {
    await app.close()
    const code = (cause as NodeJS.ErrnoException).code ?? ''
    throw new ConfigError(`cannot listen on ${host}:${port}: ${adviceFor[code] ?? messageOf(cause)}`, {
      details: { host, port, code },
      cause,
    })
  }
}
