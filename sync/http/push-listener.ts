// The HTTP server of --listen: takes push notifications and wakes the loop. It is made to stand in the open, so it
// believes nothing before a signature is right, and tells nothing but whether it will sync. A notification is a
// hint: the pass that it wakes reads what the remote has.
//
// 202 a sync was asked for · 200 heard, and nothing to do (a ping, another ref, a GET of whoever checks health) ·
// 401 no right signature · 405 another method · 408 too slow · 413 too large · 503 the secret cannot be read
import type { IncomingMessage } from 'node:http'
import { messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import { mayConcern } from '../git/ref-names.ts'
import { answer, createHttpServer, type HttpServer } from './http-server.ts'
import { type Payload, providerOf } from './push-providers.ts'
import { readSignedRequest } from './signed-request.ts'

/** Fewer: slow strangers keep pushes out. More: what is kept of their bodies fills the memory (50 MiB). */
const maxConnections = 100
/** A sender that takes longer has given up (GitHub after 10 s), or means no good. */
const defaultRequestTimeoutMs = 30_000

/** A notification that was believed. */
export interface PushDetails {
  /** `github`, `gitlab`, `gitea`, `forgejo`, `bitbucket` or `plain`. */
  provider: string
  /** In the provider's words, such as `push` or `Push Hook`. */
  event: string
  /** The provider's id of the notification. */
  delivery: string | undefined
  /** Full names of what was pushed; undefined where that cannot be told. */
  refs: string[] | undefined
}

interface Reply {
  status: number
  text: string
  headers?: Record<string, string>
}

/**
 * @param deps.bind `:1234`, `127.0.0.1:1234` or `[::1]:1234`
 * @param deps.secrets read at each notification; any one of them may have signed it
 * @param deps.ref as --ref has it: notifications of other branches and tags are passed over
 * @param deps.onPush asks for a sync; as often as notifications come
 * @param deps.requestTimeoutMs what a sender may take; default 30 s
 * @throws ConfigError where `bind` is no address
 */
export function createPushListener(deps: {
  bind: string
  secrets: () => Promise<string[]>
  ref: string
  log: Logger
  onPush: (details: PushDetails) => void
  requestTimeoutMs?: number
}): HttpServer {
  const { log, ref, requestTimeoutMs = defaultRequestTimeoutMs } = deps

  async function receive(request: IncomingMessage): Promise<Reply> {
    const { provider, event } = providerOf(request.headers)
    const delivery = provider.deliveryHeaders
      .map((name) => request.headers[name])
      .find((id) => typeof id === 'string')
    const from = { provider: provider.name, event, delivery, address: request.socket.remoteAddress }
    const isPing = event === provider.pingEvent
    if (isPing && provider.isPingUnsigned) {
      log.info(from, 'ping received')
      return { status: 200, text: 'pong. Whether the secret is right, a push will tell' }
    }
    const secrets = await deps.secrets().catch((error: unknown) => {
      log.error({ ...from, error: messageOf(error) }, 'secret of --listen cannot be read')
      return undefined
    })
    if (secrets === undefined) return { status: 503, text: 'the secret cannot be read here; see the log' }

    const signed = await readSignedRequest(request, provider, secrets)
    if ('reason' in signed) {
      log.warn({ ...from, ...signed }, 'push notification refused')
      return { status: signed.status, text: signed.reason }
    }
    if (isPing) {
      log.info(from, 'ping received')
      return { status: 200, text: 'pong' }
    }
    const refs = provider.refs(event, parse(signed.payload))
    if (!mayConcern(ref, refs)) {
      log.debug({ ...from, refs }, 'push notification is not for this ref')
      return { status: 200, text: 'not for this ref' }
    }
    log.info({ ...from, refs }, 'push notification received')
    deps.onPush({ provider: provider.name, event, delivery, refs })
    return { status: 202, text: 'sync requested' }
  }

  return createHttpServer({
    bind: deps.bind,
    flag: '--listen',
    handle: async (request, response) => {
      const reply = request.method === 'POST' ? await receive(request) : replyToMethod(request.method)
      request.resume()
      answer(response, reply.status, `${reply.text}\n`, reply.headers)
    },
    requestTimeoutMs,
    log,
    maxConnections,
  })
}

function replyToMethod(method: string | undefined): Reply {
  if (method === 'GET' || method === 'HEAD') {
    return { status: 200, text: 'listening for push notifications: send them here by POST, signed' }
  }
  return { status: 405, text: 'push notifications come by POST', headers: { allow: 'GET, HEAD, POST' } }
}

/** What is no JSON, or was too long to keep, says nothing of refs. */
function parse(text: string | undefined): Payload {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Payload)
  } catch {
    return undefined
  }
}
