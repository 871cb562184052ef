// …/dagRuns/{run_id}/taskInstances/{task_id}, and the logs of its attempts.
import { Type } from 'typebox'
import { NotFoundError } from '../../../runtime/errors.ts'
import { notMapped } from '../../../runtime/ids.ts'
import type { AttemptPlace } from '../../../runtime/log-line.ts'
import { type AttemptKey, readAttempts } from '../../../scheduler/database/queries/read-attempts.ts'
import { readPodsOfInstance } from '../../../scheduler/database/queries/read-pods.ts'
import { readTaskInstances } from '../../../scheduler/database/queries/read-task-instances.ts'
import { readXCom } from '../../../scheduler/database/queries/read-xcom.ts'
import type { ApiApp } from '../api-app.ts'
import { watchAttemptEnd } from '../attempt-end.ts'
import { readAttemptLog } from '../attempt-log.ts'
import { checkTasks, findDagRun, manifestOf } from '../find.ts'
import { attemptJson, taskInstancesJson, xcomJson } from '../json/task-instance.ts'
import { ErrorBody } from '../schemas/common.ts'
import {
  LogParameters,
  LogQuery,
  TaskInstanceDetails,
  TaskInstanceParameters,
} from '../schemas/task-instance.ts'
import type { RouteDeps } from './route-deps.ts'

const tags = ['TaskInstance']
const path = '/api/v2/dags/:dag_id/dagRuns/:run_id/taskInstances/:task_id'

export function taskInstanceRoutes(app: ApiApp, deps: RouteDeps): void {
  const { db } = deps

  app.get(
    path,
    {
      schema: {
        operationId: 'getTaskInstance',
        summary: 'One task instance with its attempts and its result',
        tags,
        params: TaskInstanceParameters,
        response: { 200: TaskInstanceDetails, '4xx': ErrorBody },
      },
    },
    async ({ params }) => {
      const run = await findDagRun(db, params.dag_id, params.run_id)
      const manifest = await manifestOf(db, run)
      checkTasks(manifest, run, [params.task_id])
      const key = { dag_run_id: run.dag_run_id, task_id: params.task_id, map_index: notMapped }
      const [rows, attempts, pods, xcom] = await Promise.all([
        readTaskInstances(db, run.dag_run_id),
        readAttempts(db, key),
        readPodsOfInstance(db, key),
        readXCom(db, key),
      ])
      const instance = taskInstancesJson(manifest, rows).find((one) => one.task_id === params.task_id)!
      return {
        dag_id: run.dag_id,
        run_id: run.run_id,
        ...instance,
        attempts: attempts.map((attempt) => attemptJson(attempt, pods)),
        xcom: xcom === undefined ? null : xcomJson(xcom),
      }
    },
  )

  app.get(
    `${path}/logs/:try_number`,
    {
      schema: {
        operationId: 'getLog',
        summary: "An attempt's log file: newline-delimited JSON",
        tags,
        params: LogParameters,
        querystring: LogQuery,
        response: {
          200: {
            description: 'The lines of the file.',
            content: { 'application/x-ndjson': { schema: Type.String() } },
          },
          '4xx': ErrorBody,
        },
      },
    },
    async ({ params, query }, reply) => {
      const run = await findDagRun(db, params.dag_id, params.run_id)
      checkTasks(await manifestOf(db, run), run, [params.task_id])
      const key = { dag_run_id: run.dag_run_id, task_id: params.task_id, map_index: notMapped }
      await checkAttempt(deps, key, params)
      const place = { ...params, map_index: notMapped }
      const offset = query.offset ?? 0
      return deps.streams.send(reply, 'application/x-ndjson', (signal) =>
        query.follow === true
          ? followAttemptLog(deps, { key, place, offset, signal })
          : readAttemptLog({ logsDir: deps.logsDir, place, offset, signal }),
      )
    },
  )
}

async function* followAttemptLog(
  deps: RouteDeps,
  input: { key: AttemptKey; place: AttemptPlace; offset: number; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  using end = watchAttemptEnd(deps, input.key, input.place.try_number)
  yield* readAttemptLog({ ...input, logsDir: deps.logsDir, hasEnded: end.hasEnded })
}

/** @throws NotFoundError that says which attempts there are */
async function checkAttempt(
  { db }: RouteDeps,
  key: AttemptKey,
  params: { run_id: string; task_id: string; try_number: number },
): Promise<void> {
  const numbers = (await readAttempts(db, key)).map((attempt) => attempt.try_number)
  if (numbers.includes(params.try_number)) return
  const there =
    numbers.length === 0
      ? 'none was made'
      : `there ${numbers.length === 1 ? 'is' : 'are'} ${numbers.join(', ')}`
  throw new NotFoundError(
    `task '${params.task_id}' of run '${params.run_id}' has no attempt ${params.try_number}: ${there}`,
    { details: { ...params, try_numbers: numbers } },
  )
}
