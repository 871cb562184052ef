// The task execution API: /execution/…, what attempts in pods speak. Each request is authenticated before its body is
// read, by the pod's own token, and is about that pod's attempt alone. A request of an attempt that is not the current
// one is answered with 410 and changes nothing; every request may be repeated.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify'
import { Type } from 'typebox'
import type { PodIdentification } from '../../../k8s/pod-identity.ts'
import { appendAttemptLog } from '../../../scheduler/database/append-attempt-log.ts'
import type { Database } from '../../../scheduler/database/connection.ts'
import {
  finishExecution,
  hasFinished,
  setMemoryPeak,
} from '../../../scheduler/database/queries/execution-finish.ts'
import type { ExecutionPodRow } from '../../../scheduler/database/queries/execution-pod.ts'
import {
  readExecutionBundle,
  readExecutionOrder,
  startExecution,
} from '../../../scheduler/database/queries/execution-start.ts'
import type { ApiApp } from '../api-app.ts'
import { ErrorBody } from '../schemas/common.ts'
import {
  FinishRequest,
  HeartbeatAnswer,
  HeartbeatRequest,
  LogsAnswer,
  LogsQuery,
  StartAnswer,
  StartRequest,
  Taken,
} from '../schemas/execution.ts'
import { authenticatePod, notCurrent } from './authenticate-pod.ts'
import { takeReport } from './take-report.ts'
import { xcomRoute } from './xcom-route.ts'

export interface ExecutionSettings {
  heartbeatIntervalMs: number
  killGraceMs: number
  xcomMaxBytes: number
}

export interface ExecutionDeps {
  db: Database
  logsDir: string
  identification: PodIdentification
  settings: ExecutionSettings
}

const tags = ['Execution']
const security = [{ podToken: [] }]

/** Of one batch of lines: a worker sends 1 MiB, or one line that is longer. */
const logsLimitBytes = 64 * 1024 * 1024
/** Of a report beside its result: an error with its stack. */
const reportLimitBytes = 4 * 1024 * 1024

export async function executionRoutes(app: ApiApp, deps: ExecutionDeps): Promise<void> {
  await app.register(async (scope) => {
    scope.addContentTypeParser(
      'application/x-ndjson',
      { parseAs: 'buffer' },
      (_request: FastifyRequest, body: Buffer, done: (error: null, body: Buffer) => void) => done(null, body),
    )
    const pods = new WeakMap<FastifyRequest, ExecutionPodRow>()
    scope.addHook('onRequest', async (request) => {
      pods.set(request, await authenticatePod(deps, request))
    })
    await xcomRoute(scope, {
      db: deps.db,
      xcomMaxBytes: deps.settings.xcomMaxBytes,
      podOf: (request) => pods.get(request)!,
    })
    addRoutes(scope.withTypeProvider<TypeBoxTypeProvider>(), deps, (request) => pods.get(request)!)
  })
}

type Scope = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

function addRoutes(
  app: Scope,
  { db, logsDir, settings }: ExecutionDeps,
  podOf: (request: FastifyRequest) => ExecutionPodRow,
): void {
  const current = (request: FastifyRequest): ExecutionPodRow => {
    const pod = podOf(request)
    return pod.is_current ? pod : notCurrent(pod)
  }

  app.post(
    '/execution/start',
    {
      schema: {
        operationId: 'startExecution',
        summary: 'The attempt of this pod begins: what it is to run',
        tags,
        security,
        body: StartRequest,
        response: { 200: StartAnswer, '4xx': ErrorBody },
      },
    },
    async (request) => {
      const pod = current(request)
      const { start_ms: startMs, hostname, pid } = request.body
      if (!(await startExecution(db, pod, { startMs, hostname, pid }))) notCurrent(pod)
      const { order, logBytes } = (await readExecutionOrder(db, pod)) ?? notCurrent(pod)
      return {
        order,
        heartbeat_interval_ms: settings.heartbeatIntervalMs,
        xcom_max_bytes: settings.xcomMaxBytes,
        kill_grace_ms: settings.killGraceMs,
        log_bytes: logBytes,
      }
    },
  )

  app.get(
    '/execution/bundle',
    {
      schema: {
        operationId: 'getExecutionBundle',
        summary: "The bundle of the attempt's Dag version",
        tags,
        security,
        response: {
          200: { description: 'Its code.', content: { 'text/javascript': { schema: Type.String() } } },
          '4xx': ErrorBody,
        },
      },
    },
    async (request, reply) => {
      const pod = current(request)
      const code = (await readExecutionBundle(db, pod)) ?? notCurrent(pod)
      return reply
        .type('text/javascript; charset=utf-8')
        .serializer(String)
        .send(code as never)
    },
  )

  app.post(
    '/execution/heartbeat',
    {
      schema: {
        operationId: 'heartbeatExecution',
        summary: 'The attempt goes on; whether it is to end',
        tags,
        security,
        body: HeartbeatRequest,
        response: { 200: HeartbeatAnswer, '4xx': ErrorBody },
      },
    },
    async (request) => {
      const pod = current(request)
      const { memory_peak_bytes: peak } = request.body
      // A write for each heartbeat would be most of what thousands of pods ask of Postgres.
      if (peak !== null && peak > (pod.memory_peak_bytes ?? 0) * 1.1) await setMemoryPeak(db, pod, peak)
      return { cancel: pod.cancel_reason }
    },
  )

  app.post(
    '/execution/logs',
    {
      bodyLimit: logsLimitBytes,
      schema: {
        operationId: 'appendExecutionLog',
        summary: "Further lines of the attempt's log (application/x-ndjson)",
        tags,
        security,
        querystring: LogsQuery,
        response: { 200: LogsAnswer, '4xx': ErrorBody },
      },
    },
    async (request) => {
      const pod = current(request)
      const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      const { offset } = request.query
      return {
        log_bytes: (await appendAttemptLog(db, { key: pod, logsDir, bytes, offset })) ?? notCurrent(pod),
      }
    },
  )

  app.post(
    '/execution/finish',
    {
      // As text within JSON, each quotation mark and backslash of the result takes two bytes.
      bodyLimit: 2 * settings.xcomMaxBytes + reportLimitBytes,
      schema: {
        operationId: 'finishExecution',
        summary: 'How the attempt ended; the first report counts',
        tags,
        security,
        body: FinishRequest,
        response: { 200: Taken, '4xx': ErrorBody },
      },
    },
    async (request) => {
      const pod = podOf(request)
      if (pod.has_finished) return {}
      if (!pod.is_current) notCurrent(pod)
      const report = takeReport(request.body, settings.xcomMaxBytes)
      if (await finishExecution(db, pod, report)) return {}
      // It was taken meanwhile, by way of another connection or server.
      return (await hasFinished(db, pod)) ? {} : notCurrent(pod)
    },
  )
}
