// The API as commands see it: JSON in, JSON out, and errors of our catalogue. What the server says about a wrong
// name (with the nearest one) passes through as it is; what is said here is only what a server cannot say, that
// it is not there.

import {
  ApiError,
  ApiUnreachableError,
  type BranchlineError,
  type ErrorOptions,
  errorCatalogue,
  messageOf,
} from '../../runtime/errors.ts'
import type { ErrorBody } from '../../web/server/schemas/common.ts'
import { callText } from '../call-text.ts'

/** A path below /api/v2, with its parameters escaped; see `path`. */
export type ApiPath = string & { readonly isApiPath: true }

/** `` path`/dags/${dagId}` ``: each value becomes one part of the path, whatever characters it has. */
export function path(parts: TemplateStringsArray, ...values: readonly (string | number)[]): ApiPath {
  return String.raw({ raw: parts }, ...values.map((value) => encodeURIComponent(value))) as ApiPath
}

/** Query parameters; undefined ones are left out, lists are repeated. */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export interface Api {
  /** Without a slash at its end. */
  readonly url: string
  /** Types are those of web/server/schemas; each call throws an error of the catalogue. */
  get<Answer>(path: ApiPath, query?: Query): Promise<Answer>
  post<Answer>(path: ApiPath, body: object): Promise<Answer>
  patch<Answer>(path: ApiPath, body: object): Promise<Answer>
  /** An answer that comes bit by bit, as text, until it ends or the signal fires. */
  stream(path: ApiPath, query: Query, signal: AbortSignal): Promise<AsyncIterable<string>>
}

/**
 * An answer that takes longer is none. Shorter: a server that waits for Postgres is taken for dead. Longer: a
 * script hangs for as long.
 */
const answerTimeoutMs = 30_000

/** @param options.timeoutMs of each request but streams; default 30 s */
export function createApi(options: { url: string; timeoutMs?: number }): Api {
  const url = options.url.replace(/\/+$/, '')
  const timeoutMs = options.timeoutMs ?? answerTimeoutMs

  async function send(target: ApiPath, query: Query, init: RequestInit): Promise<Response> {
    let response: Response
    try {
      response = await fetch(`${url}/api/v2${target}${queryText(query)}`, init)
    } catch (error) {
      throw unreachable(url, error)
    }
    if (!response.ok) throw await errorOf(url, response)
    return response
  }

  async function json<Answer>(method: string, target: ApiPath, query: Query, body?: object): Promise<Answer> {
    const response = await send(target, query, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    try {
      return (await response.json()) as Answer
    } catch (error) {
      throw foreign(url, response, error)
    }
  }

  return {
    url,
    get: (target, query = {}) => json('GET', target, query),
    post: (target, body) => json('POST', target, {}, body),
    patch: (target, body) => json('PATCH', target, {}, body),
    async stream(target, query, signal) {
      const response = await send(target, query, { signal })
      return response.body!.pipeThrough(new TextDecoderStream())
    },
  }
}

function queryText(query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one))
  }
  return parameters.size === 0 ? '' : `?${parameters}`
}

function unreachable(url: string, error: unknown): unknown {
  const { name, cause } = error as { name?: string; cause?: { code?: string; message?: string } }
  if (name === 'AbortError') return error
  const reason =
    name === 'TimeoutError' ? 'no answer in time' : (cause?.code ?? cause?.message ?? messageOf(error))
  return new ApiUnreachableError(
    `no server answers at ${url} (${reason}). Start one with \`${callText('dev')}\`, or name another with --api-url or BRANCHLINE_API_URL; one in a cluster is reached by \`kubectl port-forward\`, which ends with the pod it leads to`,
    { cause: error, details: { url } },
  )
}

async function errorOf(url: string, response: Response): Promise<BranchlineError> {
  const body = await response.json().catch(() => undefined)
  if (!isErrorBody(body)) return foreign(url, response)
  const known: Record<string, new (message: string, options: ErrorOptions) => BranchlineError> =
    errorCatalogue
  return new (known[body.code] ?? ApiError)(body.message, { details: body.details })
}

function isErrorBody(body: unknown): body is ErrorBody {
  const { code, message } = (body ?? {}) as Partial<ErrorBody>
  return typeof code === 'string' && typeof message === 'string'
}

function foreign(url: string, response: Response, cause?: unknown): ApiUnreachableError {
  const type = response.headers.get('content-type') ?? 'no content type'
  return new ApiUnreachableError(
    `what answers at ${url} is not Branchline's API (HTTP ${response.status}, ${type}): check --api-url and BRANCHLINE_API_URL`,
    { details: { url, status: response.status }, cause },
  )
}
