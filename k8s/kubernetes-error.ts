// What an answer of the API server means to us: the one place that turns HTTP statuses, Status objects and network
// faults into `KubernetesError`, and that tells push-back (wait, the pod itself is fine) from refusal (the pod is
// not). Told apart by status and reason; only where Kubernetes gives no other mark is the text looked at, and said so.
import { KubernetesError } from '../runtime/errors.ts'

/** The Status object with which the API server answers what it does not do. */
export interface Status {
  kind?: string
  status?: string
  message?: string
  reason?: string
  code?: number
  details?: { retryAfterSeconds?: number; causes?: { reason?: string; message?: string; field?: string }[] }
}

/** Why a call is to be made again later, and when. */
export interface PushBack {
  /** As the server asked for; null where it did not, so that the caller's own backoff applies. */
  waitMs: number | null
  /** For people: the server's own words. */
  reason: string
}

/**
 * The error for an answer with a status of 400 or more.
 * @param call what was asked, for the message: `create pod namespace/name`
 * @param body the answer as it came: a Status object, or the text of a proxy in between
 * @param advice appended to the message
 */
export function refusedCall(
  call: string,
  answer: { status: number; body: string; retryAfter?: string | undefined; advice?: string },
): KubernetesError {
  return refusal(call, parseStatus(answer.body) ?? { message: firstWords(answer.body) }, answer)
}

/** The error for a Status object amid a stream that began well: an ERROR event of a watch, the end of an exec. */
export function errorOfStatus(call: string, status: Status): KubernetesError {
  return refusal(call, status, { status: status.code ?? 500 })
}

function refusal(
  call: string,
  status: Status,
  answer: { status: number; retryAfter?: string | undefined; advice?: string },
): KubernetesError {
  const words = status.message ?? ''
  const text = `${call}: ${words === '' ? `HTTP status ${answer.status}, without a word` : words}`
  const causes = status.details?.causes
  return new KubernetesError(answer.advice === undefined ? text : `${text}. ${answer.advice}`, {
    status: answer.status,
    reason: status.reason ?? '',
    retryAfterMs: readRetryAfter(answer.retryAfter) ?? secondsAsMs(status.details?.retryAfterSeconds),
    details: { call, words, ...(causes === undefined ? {} : { causes }) },
  })
}

/**
 * The error for a call that nothing answered.
 * @param where server, context and file, for the message
 */
export function unansweredCall(call: string, where: string, cause: unknown): KubernetesError {
  return new KubernetesError(`${call}: no answer from ${where}: ${describeFault(cause)}`, {
    details: { call },
    cause,
  })
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 409 && error.reason === 'AlreadyExists'
}

export function isNotFound(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 404
}

export function isForbidden(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 403
}

/** A `resourceVersion` or continue token that is too old (410, also as an ERROR event of a watch): list again. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubernetesError && (error.status === 410 || error.reason === 'Expired')
}

/**
 * Whether a refused call is to wait and be made again unchanged: the server is busy, a quota is used up, somebody
 * else wrote at the same time, the server failed or was not reached, or it does not know our credentials (which is
 * no fault of the object). Null for everything else: the same call would be refused again.
 */
export function pushBackOf(error: unknown): PushBack | null {
  if (!(error instanceof KubernetesError)) return null
  const waits =
    error.status === null ||
    error.status === 408 ||
    error.status === 429 ||
    error.status === 401 ||
    (error.status >= 500 && !isTooLarge(error.message)) ||
    (error.status === 409 && error.reason !== 'AlreadyExists') ||
    (error.status === 403 && isUsedUpQuota(error.message))
  return waits ? { waitMs: error.retryAfterMs, reason: error.message } : null
}

/**
 * An object beyond etcd's limit (1.5 MiB; what is beyond 3 MiB gets a 413) is answered with a plain 500; etcd's words
 * are the only mark.
 */
function isTooLarge(message: string): boolean {
  return message.endsWith('etcdserver: request is too large')
}

/**
 * The admission plugin for quotas answers 403 `Forbidden` as for a missing right, without a cause or a code; its words
 * are the only mark. 'status unknown' is a quota that was just made and is not counted yet. A pod without the requests
 * that a quota insists on ('failed quota: … must specify') is not among them: waiting does not help it.
 */
function isUsedUpQuota(message: string): boolean {
  return /\bis forbidden: (exceeded quota|status unknown for quota)\b/.test(message)
}

function parseStatus(body: string): Status | undefined {
  if (!body.startsWith('{')) return undefined
  try {
    const value = JSON.parse(body) as Status
    return value.kind === 'Status' ? value : undefined
  } catch {
    return undefined
  }
}

/** The beginning of what is no Status object, on one line. */
function firstWords(body: string): string {
  return body.replace(/\s+/g, ' ').trim().slice(0, 300)
}

/** `Retry-After`: seconds or a date. */
function readRetryAfter(header: string | undefined): number | null {
  if (header === undefined) return null
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now())
}

function secondsAsMs(seconds: number | undefined): number | null {
  return seconds === undefined || seconds === 0 ? null : seconds * 1000
}

/** A network fault in words: Node's own, and those of every address where several were tried. */
function describeFault(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0)
    return cause.errors.map(describeFault).join('; ')
  return cause instanceof Error
    ? cause.message || ((cause as NodeJS.ErrnoException).code ?? cause.name)
    : String(cause)
}
