// The task execution API as the pod sees it. Every call is repeated until the server has answered for good: an outage
// of minutes or hours costs the attempt nothing, since its log and its result wait in the pod. node:http and not
// `fetch`, which takes 25 ms to load.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { AttemptNotCurrentError, InvalidInputError, messageOf, UnauthenticatedError } from '../errors.ts'
import {
  type FinishRequest,
  type HeartbeatAnswer,
  type HeartbeatRequest,
  type LogsAnswer,
  type StartAnswer,
  type StartRequest,
  xcomDigestHeader,
} from '../execution-api.ts'

/** First wait between two tries; doubled up to the second. Longer: an attempt is known to have ended that much later. */
const firstRetryMs = 50
const longestRetryMs = 5_000
/** Silence on a connection after which a call is given up and made again. */
const silenceMs = 30_000
/**
 * How long a token that is refused is tried again before the first answer: the server may not know a new key yet. An
 * attempt that has begun tries for as long as it takes, since the kubelet may be late with a new token.
 */
const unauthenticatedMs = 10_000

export interface ExecutionClient {
  /** @throws UnauthenticatedError where the server goes on refusing this pod */
  start(request: StartRequest): Promise<StartAnswer>
  bundle(): Promise<Buffer>
  /** One try. */
  heartbeat(request: HeartbeatRequest, timeoutMs: number): Promise<HeartbeatAnswer>
  logs(offset: number, lines: Buffer): Promise<LogsAnswer>
  /** @throws InvalidInputError where this report cannot be taken, ever */
  finish(request: FinishRequest): Promise<void>
  /**
   * The result of an operator's pod: JSON text, or nothing.
   * @throws InvalidInputError where it cannot be kept, @throws UnauthenticatedError
   */
  xcom(result: Buffer): Promise<void>
  close(): void
}

/**
 * Every call throws AttemptNotCurrentError where the attempt is not the current one any more, and the signal's reason
 * when that fires.
 * @param onTrouble told once when calls begin to fail, and with null when one succeeds again
 */
export function createExecutionClient(deps: {
  url: URL
  tokenFile: string
  signal: AbortSignal
  onTrouble: (why: string | null) => void
}): ExecutionClient {
  const { url, tokenFile, signal, onTrouble } = deps
  const transport = url.protocol === 'https:' ? https : http
  const agent = new transport.Agent({ keepAlive: true })
  let failures = 0

  async function untilAnswered(work: () => Promise<Answer>, patienceMs = Number.POSITIVE_INFINITY) {
    const begunAt = performance.now()
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(2 * waitMs, longestRetryMs)) {
      signal.throwIfAborted()
      let trouble: Error
      try {
        const answer = await work()
        if (answer.status < 300) {
          if (failures > 1) onTrouble(null)
          failures = 0
          return answer.body
        }
        trouble = refusal(answer)
      } catch (error) {
        trouble = error as Error
      }
      signal.throwIfAborted()
      if (trouble instanceof AttemptNotCurrentError || trouble instanceof InvalidInputError) throw trouble
      const isOverdue = performance.now() - begunAt > patienceMs
      if (trouble instanceof UnauthenticatedError && isOverdue) throw trouble
      failures += 1
      // One failure is a connection that was closed, and no news.
      if (failures === 2) onTrouble(messageOf(trouble))
      await delay(waitMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
    }
  }

  const call = (
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    body: Body = noBody,
    timeoutMs = silenceMs,
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const target = new URL(`${url.pathname.replace(/\/$/, '')}${path}`, url)
      const request = transport.request(target, {
        method,
        agent,
        signal,
        headers: {
          // Read each time: the kubelet replaces it.
          authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`,
          'content-length': body.bytes.length,
          ...(body.type !== null && { 'content-type': body.type }),
          ...body.headers,
        },
      })
      request.setTimeout(timeoutMs, () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      request.on('error', reject)
      request.on('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode!, body: Buffer.concat(chunks) }))
      })
      request.end(body.bytes)
    })

  return {
    async start(request) {
      const body = json(request)
      return parse(await untilAnswered(() => call('POST', '/execution/start', body), unauthenticatedMs))
    },
    bundle: () => untilAnswered(() => call('GET', '/execution/bundle')),
    async heartbeat(request, timeoutMs) {
      const answer = await call('POST', '/execution/heartbeat', json(request), timeoutMs)
      if (answer.status < 300) return parse(answer.body)
      throw refusal(answer)
    },
    async logs(offset, lines) {
      const body = { bytes: lines, type: 'application/x-ndjson' }
      return parse(await untilAnswered(() => call('POST', `/execution/logs?offset=${offset}`, body)))
    },
    async finish(request) {
      const body = json(request)
      await untilAnswered(() => call('POST', '/execution/finish', body))
    },
    async xcom(result) {
      const headers = { [xcomDigestHeader]: createHash('sha256').update(result).digest('hex') }
      const body = result.length === 0 ? noBody : { bytes: result, type: 'application/octet-stream', headers }
      await untilAnswered(() => call('PUT', '/execution/xcom', body), unauthenticatedMs)
    },
    close: () => agent.destroy(),
  }
}

interface Body {
  bytes: Buffer
  type: string | null
  headers?: Readonly<Record<string, string>>
}

interface Answer {
  status: number
  body: Buffer
}

const noBody: Body = { bytes: Buffer.alloc(0), type: null }

const json = (value: unknown): Body => ({
  bytes: Buffer.from(JSON.stringify(value)),
  type: 'application/json',
})

const parse = <T>(body: Buffer): T => JSON.parse(body.toString()) as T

/** What an answer means that is no success; only three of them are for good. */
function refusal({ status, body }: Answer): Error {
  let message = `the server answered ${status}`
  let code = ''
  try {
    const error = parse<{ code?: unknown; message?: unknown }>(body)
    code = String(error.code)
    message = `${message}: ${error.message}`
  } catch {
    // Something between us and the server answered in its place.
  }
  if (code === 'ATTEMPT_NOT_CURRENT') return new AttemptNotCurrentError(message)
  if (code === 'UNAUTHENTICATED') return new UnauthenticatedError(message)
  if (code === 'INVALID_INPUT') return new InvalidInputError(message)
  return new Error(message)
}
