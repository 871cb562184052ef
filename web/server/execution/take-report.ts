// A report of how an attempt ended, as far as it can be believed and kept.
import { createHash } from 'node:crypto'
import { InvalidInputError } from '../../../runtime/errors.ts'
import type { FinishRequest } from '../../../runtime/execution-api.ts'
import { storableEnd } from '../../../runtime/task-runner/parse-report.ts'

/**
 * With a result that Postgres cannot keep it is the report of a failure, as it is for every executor.
 * @throws InvalidInputError where the result is not what was sent, or longer than may be kept
 */
export function takeReport(request: FinishRequest, xcomMaxBytes: number): FinishRequest {
  const { result, result_sha256: sha256 } = request
  if ((result === null) !== (sha256 === null))
    throw new InvalidInputError('result and result_sha256 belong together: both, or neither')
  if (result !== null) {
    const bytes = Buffer.from(result)
    const actual = createHash('sha256').update(bytes).digest('hex')
    if (actual !== sha256) {
      throw new InvalidInputError(
        `the result was changed on its way: its SHA-256 is ${actual}, and ${sha256} was announced`,
      )
    }
    if (bytes.length > xcomMaxBytes) {
      throw new InvalidInputError(
        `the result is ${bytes.length} bytes of JSON, more than the ${xcomMaxBytes} of xcom_max_bytes: return a reference (a path, a key) instead of the data`,
      )
    }
  }
  const storable = storableEnd(request)
  return storable.result === null ? { ...storable, result_sha256: null } : storable
}
