// The HTTP endpoint of --http-bind. As git-sync: every path and method tells readiness, 503 until a commit is
// published and 200 from then on; /metrics and /debug/pprof/ are something else only where they were asked for.
// Ours: GET /status says more than ready or not, and POST /sync syncs at once. That takes no secret and does no
// more than the period would, so it is open to this machine and nobody else.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../../runtime/log.ts'
import { answer, createHttpServer, type HttpHandler, type HttpServer, pathOf } from './http-server.ts'
import type { GateStatus } from './sync-metrics.ts'

/** Path of the request that syncs at once. */
const syncPath = '/sync'
const statusPath = '/status'
const metricsPath = '/metrics'
const profilingPath = '/debug/pprof'

/** The body of GET /status. Times are ISO 8601, UTC; null: not yet, or not configured. */
export interface SyncStatus {
  /** Whether a commit was published or found published by this process. */
  ready: boolean
  /** As --ref has it. */
  ref: string
  commit_sha: string | null
  /** When the link was last changed by this process. */
  published_at: string | null
  /** The last sync that succeeded, with something new or without. */
  last_success_at: string | null
  /** Failed syncs in a row. */
  failures: number
  last_error: { message: string; error: string; at: string } | null
  /** The last run of --gate-command. */
  gate: {
    commit_sha: string
    status: GateStatus
    output_path: string | null
    reason: string | null
  } | null
}

/** What answers a part of the paths. */
export interface HttpPages {
  handle: HttpHandler
}

/**
 * @param deps.bind `:1234`, `127.0.0.1:1234` or `[::1]:1234`
 * @param deps.onSync POST /sync came from this machine
 * @param deps.status what GET /status answers; without it, the path tells readiness
 * @param deps.metrics answers /metrics; without it, the path tells readiness
 * @param deps.profiling answers /debug/pprof/ and all below; without it, the paths tell readiness
 * @throws ConfigError where `bind` is no address
 */
export function createHttpEndpoint(deps: {
  bind: string
  isReady: () => boolean
  onSync: () => void
  status?: () => SyncStatus
  metrics?: HttpPages
  profiling?: HttpPages
  log: Logger
}): HttpServer {
  const { bind, status, metrics, profiling, log } = deps

  const handle: HttpHandler = (request, response) => {
    request.resume()
    const path = pathOf(request)
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (path === syncPath && request.method === 'POST') return acceptSync(request, response)
    if (path === statusPath && isRead && status) return answerStatus(response, status())
    if (path === metricsPath && metrics) return metrics.handle(request, response)
    if (path.startsWith(`${profilingPath}/`) && profiling) return profiling.handle(request, response)
    if (path === profilingPath && profiling) {
      return answer(response, 301, '', { location: `${profilingPath}/` })
    }
    return deps.isReady() ? answer(response, 200, '') : answer(response, 503, 'repo is not ready\n')
  }

  function acceptSync(request: IncomingMessage, response: ServerResponse): void {
    if (!isLoopback(request.socket.remoteAddress ?? '')) {
      answer(response, 403, `POST ${syncPath} is taken from this machine only\n`)
      return
    }
    deps.onSync()
    answer(response, 202, 'sync requested\n')
  }

  return createHttpServer({ bind, flag: '--http-bind', handle, log })
}

function answerStatus(response: ServerResponse, status: SyncStatus): void {
  answer(response, status.ready ? 200 : 503, `${JSON.stringify(status)}\n`, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  })
}

function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\./.test(address) || address === '::1'
}
