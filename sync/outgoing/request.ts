// The requests that sync makes itself: of webhook, askpass URL and GitHub App. As Go's client makes them, which
// git-sync's are: through the proxies of the environment, by the certificate authorities of the system. By node:http
// and not `fetch`, which keeps the method of a redirected PUT, knows no proxy of ours, and costs more memory where it
// is used again and again: 3,000 requests, 4 ms apart, made a process larger by 89 MB, these by 52 MB (with
// --max-semi-space-size=2 by 59 and 24 MB; Node 26, a server on the same machine). What an error means, and what to
// do about it, is the callers': theirs are other classes.
import { readFileSync } from 'node:fs'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import type { SecureContext } from 'node:tls'
import { messageOf } from '../../runtime/errors.ts'
import { maxTimerMs } from '../deadline.ts'
import { type OutgoingEnvironment, proxyFor } from './proxy.ts'

/** What is kept of an answer. Smaller: a token with all its permissions is cut. Larger: a server fills the memory. */
const keptBodyBytes = 64 * 1024

export interface OutgoingRequest {
  /** http or https; user info is sent as Basic authorization, and not to another server. */
  url: URL
  method: string
  headers?: Readonly<Record<string, string>>
  /** 0: a redirect is an answer as any other; more: they are followed, and the one of this number is an error. */
  redirectLimit: 0 | 10
  /** Proxies, and SSL_CERT_FILE: a file of certificate authorities in place of the system's. */
  environment: OutgoingEnvironment
  /** From the first connection to the end of the answer, redirects included; absent: as long as `signal` lets it. */
  timeoutMs?: number
  signal: AbortSignal
}

export interface Answer {
  status: number
  /** Its first 64 KiB. */
  body: string
  /** Whether that is all. */
  isWhole: boolean
}

/**
 * Sends it without a body and reads the answer to its end; any status is an answer.
 * @throws Error where there is none: not reached, too slow, redirected too often or to what is no http(s) URL, a
 * proxy or SSL_CERT_FILE that cannot be; its message never holds the URL
 * @throws the signal's reason, where that ended it
 */
export async function request(outgoing: OutgoingRequest): Promise<Answer> {
  const { signal, timeoutMs } = outgoing
  signal.throwIfAborted()
  const ending = new AbortController()
  const end = (): void => ending.abort(signal.reason)
  signal.addEventListener('abort', end, { once: true })
  const tooSlow = (): void => ending.abort(new Error(`no answer within ${timeoutMs} ms`))
  const timer = timeoutMs === undefined ? undefined : setTimeout(tooSlow, Math.min(timeoutMs, maxTimerMs))
  try {
    return await follow({ ...outgoing, signal: ending.signal })
  } catch (error) {
    throw ending.signal.aborted ? ending.signal.reason : causeOf(error)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
}

async function follow(outgoing: OutgoingRequest): Promise<Answer> {
  const { redirectLimit } = outgoing
  let { url, method } = outgoing
  for (let requests = 1; ; requests += 1) {
    const { answer, location } = await send({ ...outgoing, url, method })
    if (redirectLimit === 0 || location === undefined) return answer
    const target = redirectTarget(answer.status, location, url)
    if (requests === redirectLimit) throw new Error(`stopped after ${redirectLimit} redirects`)
    url = target
    // As Go does, and browsers: only 307 and 308 ask for the same once more.
    if (answer.status < 307 && method !== 'HEAD') method = 'GET'
  }
}

const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308]

async function send(outgoing: OutgoingRequest): Promise<{ answer: Answer; location: string | undefined }> {
  const { url, method, headers, environment, signal } = outgoing
  // Go says so for these methods alone; Node would say nothing for some of them.
  const length = ['POST', 'PUT', 'PATCH'].includes(method) ? { 'Content-Length': '0' } : {}
  const options = { method, headers: { 'User-Agent': 'branchline-sync', ...headers, ...length }, signal }
  const { agent, open } = await transportFor(url, environment)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  try {
    open(url, { ...options, agent })
      .once('response', resolve)
      .on('error', reject)
      .end()
    const response = await promise
    const answer = await readAnswer(response)
    const isRedirect = redirectStatuses.includes(answer.status)
    return { answer, location: isRedirect ? response.headers.location : undefined }
  } finally {
    agent.destroy()
  }
}

async function transportFor(
  url: URL,
  environment: OutgoingEnvironment,
): Promise<{ agent: HttpAgent; open: typeof httpRequest }> {
  const proxy = proxyFor(url, environment)?.href
  const proxyEnv = proxy === undefined ? {} : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy }
  if (url.protocol !== 'https:') return { agent: new HttpAgent({ proxyEnv }), open: httpRequest }
  // TLS is loaded for those who need it: it costs memory.
  const { Agent, request: open } = await import('node:https')
  const secureContext = await secureContextFor(environment.SSL_CERT_FILE ?? '')
  return { agent: new Agent({ proxyEnv, secureContext }), open }
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  let room = keptBodyBytes
  let isWhole = true
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (chunk.length > room) isWhole = false
    if (room > 0) chunks.push(chunk.subarray(0, room))
    room -= Math.min(room, chunk.length)
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), isWhole }
}

function redirectTarget(status: number, location: string, from: URL): URL {
  const target = URL.parse(location, from.href)
  if (target !== null && ['http:', 'https:'].includes(target.protocol)) return target
  throw new Error(`the answer redirects with status ${status} to what is no http or https URL`)
}

/** By file; reading the authorities takes some 10 ms, and they do not change while we run. */
const secureContexts = new Map<string, SecureContext>()

async function secureContextFor(certificateFile: string): Promise<SecureContext> {
  const known = secureContexts.get(certificateFile)
  if (known !== undefined) return known
  const { createSecureContext, getCACertificates } = await import('node:tls')
  const own = certificateFile === '' ? getCACertificates('system') : [readAuthorities(certificateFile)]
  const context = createSecureContext({ ca: [...getCACertificates('default'), ...own] })
  secureContexts.set(certificateFile, context)
  return context
}

function readAuthorities(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`the certificate authorities of SSL_CERT_FILE cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** A name whose addresses all refused comes as one error without words of its own. */
function causeOf(error: unknown): unknown {
  if (!(error instanceof AggregateError)) return error
  return new Error(error.errors.map(messageOf).join('; '), { cause: error })
}
