// PUT /execution/xcom: the sidecar of an operator's pod brings the result that `base` left in a file. It is kept as any
// other attempt's result is, under the same limit; how the attempt ended is judged by what is seen of the pod.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { InvalidInputError } from '../../../runtime/errors.ts'
import { xcomDigestHeader } from '../../../runtime/execution-api.ts'
import type { Database } from '../../../scheduler/database/connection.ts'
import { finishExecution } from '../../../scheduler/database/queries/execution-finish.ts'
import type { ExecutionPodRow } from '../../../scheduler/database/queries/execution-pod.ts'
import { ErrorBody } from '../schemas/common.ts'
import { Taken } from '../schemas/execution.ts'
import { notCurrent } from './authenticate-pod.ts'
import { takeReport } from './take-report.ts'

interface XComDeps {
  db: Database
  xcomMaxBytes: number
  /** Of a request that is authenticated. */
  podOf: (request: FastifyRequest) => ExecutionPodRow
}

/** Adds the route to a scope whose requests are authenticated. */
export async function xcomRoute(scope: FastifyInstance, deps: XComDeps): Promise<void> {
  const { db, xcomMaxBytes, podOf } = deps
  await scope.register(async (app) => {
    app.addContentTypeParser(
      'application/octet-stream',
      { parseAs: 'buffer' },
      (_request: FastifyRequest, body: Buffer, done: (error: null, body: Buffer) => void) => done(null, body),
    )
    app.put(
      '/execution/xcom',
      {
        bodyLimit: xcomMaxBytes,
        schema: {
          operationId: 'putExecutionXCom',
          summary:
            "The result of an operator's pod: JSON text (application/octet-stream), or nothing; the first one counts",
          tags: ['Execution'],
          security: [{ podToken: [] }],
          response: { 200: Taken, '4xx': ErrorBody },
        },
        // Before the body is read, and in the words that its author needs.
        onRequest: async (request) => checkSize(Number(request.headers['content-length'] ?? 0), xcomMaxBytes),
      },
      async (request) => {
        const pod = podOf(request)
        if (pod.has_finished) return {}
        if (!pod.is_current) notCurrent(pod)
        const now = Date.now()
        const report = takeReport(
          {
            state: 'success',
            retryable: true,
            error: null,
            exit_code: null,
            start_ms: now,
            end_ms: now,
            memory_peak_bytes: null,
            ...readResult(request),
          },
          xcomMaxBytes,
        )
        return (await finishExecution(db, pod, report)) ? {} : notCurrent(pod)
      },
    )
  })
}

function checkSize(bytes: number, xcomMaxBytes: number): void {
  if (bytes <= xcomMaxBytes) return
  throw new InvalidInputError(
    `return.json has ${bytes} bytes, more than the ${xcomMaxBytes} of xcom_max_bytes: write a reference (a path, a key) instead of the data`,
  )
}

function readResult(request: FastifyRequest): { result: string | null; result_sha256: string | null } {
  const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  if (bytes.length === 0) return { result: null, result_sha256: null }
  const digest = request.headers[xcomDigestHeader]
  if (typeof digest !== 'string') {
    throw new InvalidInputError(
      `the request has no ${xcomDigestHeader}: the SHA-256 of its body, hexadecimal`,
    )
  }
  return { result: bytes.toString(), result_sha256: digest }
}
