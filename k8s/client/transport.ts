// HTTP to the API server: one call, one answer, or one stream, over connections that are kept. Every call ends: with an
// answer, by its timeout, or by the caller's signal; a stream that is silent for longer than it may be is dropped.
// Bodies are JSON texts; nothing is taken apart by a description of its type.
//
// HTTP/1.1 rather than HTTP/2: in creates a second both are alike (0.33 and 0.28 ms of CPU a create), and on one
// connection for everything a lost packet, or a server that closes it, stops all calls and watches at once.
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { KubernetesError } from '../../runtime/errors.ts'
import { version } from '../../runtime/version.ts'
import { refusedCall, unansweredCall } from '../kubernetes-error.ts'
import type { Credential, Credentials } from './credentials.ts'

/** Connections for calls; streams are not counted. More calls than that wait for one another. */
const maxCallSockets = 128

/** How long an idle connection is kept. Below the 90 s after which the API server closes it: no call meets its end. */
const idleSocketMs = 30_000

export interface ApiRequest {
  /** What is asked, for messages: `create pod namespace/name`. */
  call: string
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query. */
  path: string
  /** JSON. */
  body?: string
  /** Of the body; default application/json. */
  contentType?: string
  /** Default: what the client was made with. For a stream: until its answer begins. */
  timeoutMs?: number | undefined
  signal?: AbortSignal | undefined
}

export interface Transport {
  /**
   * The answer's body.
   * @throws KubernetesError for a status of 400 or more, or where nothing answered; the signal's reason where it fired
   */
  call(request: ApiRequest): Promise<string>
  /**
   * An answer whose body goes on. It is dropped with an error after `idleMs` without a byte, and where the signal fires.
   * @throws KubernetesError as `call` does; the body's own faults come out of its iterator as such too
   */
  stream(request: ApiRequest & { idleMs: number }): Promise<AsyncIterable<Buffer>>
  /** Drops all connections, streams included. */
  close(): void
}

interface Agents {
  generation: number
  calls: HttpAgent
  streams: HttpAgent
}

/**
 * @param where server, context and file, for the message of a call that nothing answered
 */
export function createTransport(deps: {
  server: string
  where: string
  credentials: Credentials
  requestTimeoutMs: number
}): Transport {
  const { where, credentials, requestTimeoutMs } = deps
  const server = new URL(deps.server)
  const isTls = server.protocol === 'https:'
  const prefix = server.pathname.replace(/\/+$/, '')
  const send = isTls ? httpsRequest : httpRequest
  const host = server.hostname.replace(/^\[|\]$/g, '')
  const port = server.port === '' ? (isTls ? 443 : 80) : Number(server.port)
  let agents: Agents | undefined
  const all = new Set<HttpAgent>()

  const makeAgent = (credential: Credential, maxSockets: number): HttpAgent => {
    const options = {
      keepAlive: true,
      keepAliveMsecs: 30_000,
      maxSockets,
      maxFreeSockets: maxCallSockets,
      // Of an idle connection; a call has its own timer.
      timeout: idleSocketMs,
      scheduling: 'lifo' as const,
    }
    const agent = isTls ? new HttpsAgent({ ...options, ...credential.tls }) : new HttpAgent(options)
    all.add(agent)
    return agent
  }

  const agentsFor = (credential: Credential): Agents => {
    if (agents?.generation === credential.generation) return agents
    // Calls under way end on their connections; those that nobody uses any more are forgotten.
    for (const agent of all) if (Object.keys(agent.sockets).length === 0) all.delete(agent)
    const { proxyAgent, generation } = credential
    agents = {
      generation,
      calls: proxyAgent ?? makeAgent(credential, maxCallSockets),
      streams: proxyAgent ?? makeAgent(credential, Number.POSITIVE_INFINITY),
    }
    return agents
  }

  /** Sends one request and resolves with the beginning of its answer; the timer goes on until `done` is called. */
  const begin = async (request: ApiRequest, kind: 'calls' | 'streams', again = false): Promise<Begun> => {
    const { call, signal, timeoutMs = requestTimeoutMs } = request
    signal?.throwIfAborted()
    const ready = credentials.current()
    const credential = ready instanceof Promise ? await ready : ready
    const headers: Record<string, string | number> = {
      accept: 'application/json, */*',
      'user-agent': `branchline/${version}`,
      ...credential.headers,
    }
    if (request.body !== undefined) {
      headers['content-type'] = request.contentType ?? 'application/json'
      headers['content-length'] = Buffer.byteLength(request.body)
    }
    return await new Promise<Begun>((resolve, reject) => {
      const outgoing: ClientRequest = send({
        agent: agentsFor(credential)[kind],
        host,
        port,
        method: request.method,
        path: prefix + request.path,
        headers,
      })
      let incoming: IncomingMessage | undefined
      let fault: unknown
      const end = (cause: unknown): void => {
        fault = cause
        if (incoming === undefined) outgoing.destroy()
        else incoming.destroy(cause instanceof Error ? cause : undefined)
        reject(cause)
      }
      const timer = setTimeout(() => {
        end(unansweredCall(call, where, new Error(`it took longer than ${timeoutMs / 1000} s`)))
      }, timeoutMs)
      const onAbort = (): void => end(signal!.reason)
      const done = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        done()
        if (fault !== undefined) return
        // The server closed an idle connection at the moment when we took it: nothing was lost with it.
        const isStale = outgoing.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
        if (isStale && !again && (request.method === 'GET' || request.method === 'DELETE')) {
          begin(request, kind, true).then(resolve, reject)
        } else {
          reject(unansweredCall(call, where, error))
        }
      })
      outgoing.on('response', (answer) => {
        incoming = answer
        // Its reader may not have begun when it breaks, and hears of it then.
        answer.on('error', () => {})
        resolve({
          answer,
          outgoing,
          credential,
          stopTimer: () => clearTimeout(timer),
          done,
          faultOf: () => fault,
        })
      })
      outgoing.end(request.body)
    })
  }

  const readAll = ({ answer, done, faultOf }: Begun, call: string): Promise<string> =>
    new Promise<string>((resolve, reject) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => {
        done()
        resolve(parts.length === 1 ? parts[0]!.toString() : Buffer.concat(parts).toString())
      })
      const onFault = (error?: Error): void => {
        done()
        reject(
          faultOf() ??
            unansweredCall(call, where, error ?? new Error('the connection closed amid the answer')),
        )
      }
      answer.on('error', onFault)
      answer.on('close', () => {
        if (!answer.complete) onFault()
      })
    })

  /** An answer that is no refusal. A server that does not know us is asked once more with what is read anew. */
  const accepted = async (request: ApiRequest, kind: 'calls' | 'streams'): Promise<Begun> => {
    const begun = await begin(request, kind)
    if (begun.answer.statusCode! < 300) return begun
    const refusal = await refusalOf(request.call, begun)
    if (refusal.status !== 401) throw refusal
    credentials.renew(begun.credential)
    const second = await begin(request, kind)
    if (second.answer.statusCode! < 300) return second
    throw await refusalOf(request.call, second)
  }

  const refusalOf = async (call: string, begun: Begun): Promise<KubernetesError> => {
    const body = await readAll(begun, call)
    const status = begun.answer.statusCode!
    return refusedCall(call, {
      status,
      body,
      retryAfter: begun.answer.headers['retry-after'],
      ...(status === 401 ? { advice: `${where} does not accept the credentials; renew them` } : {}),
    })
  }

  return {
    async call(request) {
      return await readAll(await accepted(request, 'calls'), request.call)
    },
    async stream({ idleMs, ...request }) {
      const begun = await accepted(request, 'streams')
      begun.stopTimer()
      begun.outgoing.setTimeout(idleMs, () => {
        begun.answer.destroy(new Error(`nothing came for ${idleMs / 1000} s`))
      })
      return chunksOf(begun, request.call, where)
    },
    close() {
      for (const agent of all) agent.destroy()
      all.clear()
    },
  }
}

interface Begun {
  answer: IncomingMessage
  outgoing: ClientRequest
  credential: Credential
  stopTimer: () => void
  /** Lets go of timer and signal. */
  done: () => void
  /** Why we ended it ourselves, if we did. */
  faultOf: () => unknown
}

async function* chunksOf(begun: Begun, call: string, where: string): AsyncGenerator<Buffer> {
  const { answer, done, faultOf } = begun
  try {
    for await (const chunk of answer) yield chunk as Buffer
  } catch (error) {
    throw faultOf() ?? unansweredCall(call, where, error)
  } finally {
    done()
    answer.destroy()
  }
}
