// One HTTP request as Go's client makes it, which git-sync's webhook is: through the proxies of the environment,
// by the certificate authorities of the system, redirects followed. `fetch` was not taken: it keeps the method of a
// redirected PUT, follows twenty redirects and knows no proxy of ours.
import { readFileSync } from 'node:fs'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { HookError, messageOf } from '../../runtime/errors.ts'
import { createBoundedOutput } from './bounded-output.ts'
import { type ProxyEnvironment, proxyFor } from './proxy.ts'

/** Requests that one call may make. Fewer than Go's ten: a chain that works with git-sync fails. */
const maxRequests = 10
/** What is kept of an answer; the rest is read and dropped. More than this says nothing more in a log line. */
const keptBodyBytes = 4 * 1024

export interface Answer {
  status: number
  /** Its beginning, without white space around it. */
  body: string
}

export interface OutgoingRequest {
  url: URL
  method: string
  headers: Readonly<Record<string, string>>
  /** Proxies, and SSL_CERT_FILE: a file of certificate authorities in place of the system's. */
  environment: ProxyEnvironment
  signal: AbortSignal
}

/**
 * Sends it without a body, follows redirects, and reads the answer to its end.
 * @throws HookError for a redirect that is none or one too many; ConfigError for a proxy that cannot be; otherwise
 * Node's own errors
 */
export async function sendRequest(outgoing: OutgoingRequest): Promise<Answer> {
  let { url, method } = outgoing
  for (let requests = 1; ; requests += 1) {
    const response = await send({ ...outgoing, url, method })
    const answer = await readAnswer(response)
    const target = redirectOf(response, url)
    if (target === undefined) return answer
    if (requests === maxRequests) {
      throw new HookError(`stopped after ${maxRequests} redirects, the last of them to ${urlForLog(target)}`)
    }
    url = target
    // As Go does, and browsers: only 307 and 308 ask for the same once more.
    if (answer.status < 307 && method !== 'HEAD') method = 'GET'
  }
}

/** A URL that may be logged: without user, password and what the query says. */
export function urlForLog(url: URL): string {
  const shown = new URL(url)
  if (shown.username !== '') shown.username = 'REDACTED'
  if (shown.password !== '') shown.password = 'REDACTED'
  for (const name of new Set(shown.searchParams.keys())) shown.searchParams.set(name, 'REDACTED')
  return shown.href
}

async function send({
  url,
  method,
  headers,
  environment,
  signal,
}: OutgoingRequest): Promise<IncomingMessage> {
  const proxy = proxyFor(url, environment)
  const proxyEnv = proxy === undefined ? {} : { HTTP_PROXY: proxy.href, HTTPS_PROXY: proxy.href }
  // Go says so for these methods alone; Node would say nothing for some of them.
  const length = ['POST', 'PUT', 'PATCH'].includes(method) ? { 'Content-Length': '0' } : {}
  const options = { method, headers: { ...headers, ...length }, signal }
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request =
    url.protocol === 'https:'
      ? httpsRequest(url, {
          ...options,
          agent: new HttpsAgent({
            proxyEnv,
            secureContext: secureContextFor(environment.SSL_CERT_FILE ?? ''),
          }),
        })
      : httpRequest(url, { ...options, agent: new HttpAgent({ proxyEnv }) })
  request.once('response', resolve).on('error', reject).end()
  return promise
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const body = createBoundedOutput({ headBytes: keptBodyBytes, tailBytes: 0 })
  for await (const chunk of response) body.add(chunk)
  return { status: response.statusCode ?? 0, body: body.text() }
}

const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308]

/** Where the answer sends us; one without a Location is an answer as any other. */
function redirectOf({ statusCode = 0, headers }: IncomingMessage, from: URL): URL | undefined {
  if (!redirectStatuses.includes(statusCode) || headers.location === undefined) return undefined
  const target = URL.parse(headers.location, from.href)
  if (target !== null && ['http:', 'https:'].includes(target.protocol)) return target
  throw new HookError(`the answer redirects with status ${statusCode} to what is no http or https URL`)
}

/** By file; reading the authorities takes some 10 ms, and they do not change while we run. */
const secureContexts = new Map<string, SecureContext>()

function secureContextFor(certificateFile: string): SecureContext {
  const known = secureContexts.get(certificateFile)
  if (known !== undefined) return known
  const system = certificateFile === '' ? getCACertificates('system') : [readAuthorities(certificateFile)]
  const context = createSecureContext({ ca: [...getCACertificates('default'), ...system] })
  secureContexts.set(certificateFile, context)
  return context
}

function readAuthorities(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new HookError(`the certificate authorities of SSL_CERT_FILE cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
