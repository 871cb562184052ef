// One HTTP request and its whole answer. By node:http and not `fetch`, which costs more memory where it is used
// again and again: 3,000 requests, 4 ms apart, made a process larger by 52 MB, with fetch by 89 MB (with
// --max-semi-space-size=2 by 24 and 59 MB); the first one by 0.8 and 2.8 MB. Node 26, a server on this machine.
// Redirects are not followed: what is sent and received here are secrets, and meant for one server.
import { Agent as HttpAgent, request as httpRequest, type RequestOptions } from 'node:http'

/** Longer answers are none that we asked for. */
const maxBodyBytes = 64 * 1024

export interface ExchangeRequest {
  method: 'GET' | 'POST'
  /** http or https; user info is sent as Basic authentication. */
  url: URL
  headers?: Record<string, string>
  signal: AbortSignal
  /** From the beginning to the end of the answer; absent: as long as `signal` lets it. */
  timeoutMs?: number
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are looked up. */
  proxyEnv: NodeJS.ProcessEnv
}

/**
 * Sends the request; any status is an answer.
 * @throws Error where there is none: not reached, too slow, too long, ended by the signal. It never holds the URL
 */
export async function exchange(sent: ExchangeRequest): Promise<{ status: number; body: string }> {
  const { url, method, headers, signal, timeoutMs, proxyEnv } = sent
  signal.throwIfAborted()
  const options: RequestOptions = { method, headers: { 'user-agent': 'branchline-sync', ...headers } }
  // TLS is loaded for those who need it: it costs memory.
  const tls = url.protocol === 'https:' ? await import('node:https') : undefined
  const agent = tls === undefined ? new HttpAgent({ proxyEnv }) : new tls.Agent({ proxyEnv })
  const request = (tls?.request ?? httpRequest)(url, { ...options, agent })
  const end = (): void => void request.destroy(signal.reason)
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  signal.addEventListener('abort', end, { once: true })
  try {
    return await new Promise((resolve, reject) => {
      request.on('error', (error: NodeJS.ErrnoException) => reject(causeOf(error)))
      request.on('response', (response) => {
        const chunks: Buffer[] = []
        let length = 0
        response.on('data', (chunk: Buffer) => {
          length += chunk.length
          chunks.push(chunk)
          if (length > maxBodyBytes)
            request.destroy(new Error(`an answer of more than ${maxBodyBytes} bytes`))
        })
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        )
      })
      request.end()
    })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
    agent.destroy()
  }
}

/** A name with several addresses fails with an error that says nothing; each address has its own inside. */
function causeOf(error: Error): Error {
  return error instanceof AggregateError && error.errors[0] instanceof Error ? error.errors[0] : error
}
