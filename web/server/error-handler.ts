// From what was thrown to an answer: the one place that knows which code of the catalogue is which HTTP status. What
// is not of the catalogue is a fault of ours, is logged here once, and tells the caller nothing of its inside.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import {
  BranchlineError,
  DatabaseUnavailableError,
  InternalError,
  InvalidInputError,
} from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import { sqlState } from '../../scheduler/database/connection.ts'
import type { ErrorBody } from './schemas/common.ts'

/** Code → status; what is not listed is 500. */
const statusOf: Readonly<Record<string, number>> = {
  INVALID_INPUT: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  ATTEMPT_NOT_CURRENT: 410,
  DATABASE_UNAVAILABLE: 503,
  KUBERNETES: 503,
}

/** Seconds after which a client may ask again; Postgres' restart takes about as long. */
const retryAfterSeconds = 1

/** For `setErrorHandler`. */
export function errorHandler(log: Logger) {
  return async (error: FastifyError, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const known = translate(error)
    if (known === undefined && request.raw.readableAborted) {
      log.debug({ reason: error.message, method: request.method, url: request.url }, 'client went away')
      return send(reply, 400, new InvalidInputError('the request ended before its body did'))
    }
    if (known === undefined) {
      const fault = new InternalError(
        'the server failed in a way that it does not know: its log has the error under this request_id',
        { details: { request_id: request.id } },
      )
      log.error(
        { err: error, request_id: request.id, method: request.method, url: request.url },
        'request failed',
      )
      return send(reply, 500, fault)
    }
    const status = isRefusal(error) ? error.statusCode! : (statusOf[known.code] ?? 500)
    if (known.retryable) reply.header('retry-after', retryAfterSeconds)
    return send(reply, status, known)
  }
}

function send(reply: FastifyReply, status: number, error: BranchlineError): FastifyReply {
  const body: ErrorBody = { code: error.code, message: error.message, details: error.details }
  return reply.code(status).type('application/json; charset=utf-8').send(body)
}

function translate(error: FastifyError): BranchlineError | undefined {
  if (error instanceof BranchlineError) return error
  // Class 22, data exception: a value that the column's type cannot hold, such as a NUL in a text. Class 54, limit
  // exceeded: JSON nested too deep.
  if (/^(22|54)/.test(sqlState(error) ?? '')) {
    return new InvalidInputError(`Postgres cannot store a value of this request: ${error.message}`)
  }
  // undefined_table: Postgres is there before the first program has migrated it.
  if (sqlState(error) === '42P01') {
    return new DatabaseUnavailableError(
      'the database has no tables yet: every program makes them at its start, as does `branchline db migrate`',
      { cause: error },
    )
  }
  if (isRefusal(error)) {
    return new InvalidInputError(error.message, { details: { reason: error.code } })
  }
  return undefined
}

/** Fastify's own: no JSON, too large, another content type. */
function isRefusal(error: FastifyError): boolean {
  return error.code?.startsWith('FST_') && error.statusCode !== undefined && error.statusCode < 500
}
