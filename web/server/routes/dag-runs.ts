// /api/v2/dags/{dag_id}/dagRuns and below: trigger, look at, cancel and clear runs. What changes a run is a
// request to its scheduler, so it is accepted (202) and not done; the run's rows and live events tell when it is.
import { ConflictError } from '../../../runtime/errors.ts'
import { readDagRuns } from '../../../scheduler/database/queries/read-dag-runs.ts'
import { readTaskInstances } from '../../../scheduler/database/queries/read-task-instances.ts'
import { requestCancel } from '../../../scheduler/database/queries/request-cancel.ts'
import { requestClear } from '../../../scheduler/database/queries/request-clear.ts'
import { triggerRun } from '../../../scheduler/database/trigger-run.ts'
import type { ApiApp } from '../api-app.ts'
import { selectToClear } from '../clear-selection.ts'
import { checkDag, checkTasks, findDagRun, manifestOf } from '../find.ts'
import { dagRunJson } from '../json/dag-run.ts'
import { taskInstancesJson } from '../json/task-instance.ts'
import { defaultPageSize, ErrorBody } from '../schemas/common.ts'
import { DagParameters } from '../schemas/dag.ts'
import {
  ClearBody,
  ClearResult,
  DagRun,
  DagRunCollection,
  DagRunDetails,
  DagRunListParameters,
  DagRunListQuery,
  DagRunParameters,
  TriggerBody,
} from '../schemas/dag-run.ts'
import { apiActor, type RouteDeps } from './route-deps.ts'

const tags = ['DagRun']
const everyDag = '~'

export function dagRunRoutes(app: ApiApp, { db }: RouteDeps): void {
  app.post(
    '/api/v2/dags/:dag_id/dagRuns',
    {
      schema: {
        operationId: 'triggerDagRun',
        summary: 'Trigger a run of the newest version',
        tags,
        params: DagParameters,
        body: TriggerBody,
        response: { 201: DagRun, '4xx': ErrorBody },
      },
    },
    async ({ params, body }, reply) => {
      const run = await triggerRun(db, {
        dagId: params.dag_id,
        ...(body.run_id !== undefined && { runId: body.run_id }),
        ...(body.params !== undefined && { params: body.params }),
        logicalDate: body.logical_date == null ? null : new Date(body.logical_date),
        actor: apiActor,
      })
      return reply.code(201).send(dagRunJson(run))
    },
  )

  app.get(
    '/api/v2/dags/:dag_id/dagRuns',
    {
      schema: {
        operationId: 'getDagRuns',
        summary: 'Runs of a Dag, or of all (~), newest first',
        tags,
        params: DagRunListParameters,
        querystring: DagRunListQuery,
        response: { 200: DagRunCollection, '4xx': ErrorBody },
      },
    },
    async ({ params, query }) => {
      const dagId = params.dag_id === everyDag ? null : params.dag_id
      const { rows, total } = await readDagRuns(db, {
        dagId,
        states: query.state ?? null,
        limit: query.limit ?? defaultPageSize,
        offset: query.offset ?? 0,
      })
      if (total === 0 && dagId !== null) await checkDag(db, dagId)
      return { dag_runs: rows.map(dagRunJson), total_entries: total }
    },
  )

  app.get(
    '/api/v2/dags/:dag_id/dagRuns/:run_id',
    {
      schema: {
        operationId: 'getDagRun',
        summary: 'One run with its task instances',
        tags,
        params: DagRunParameters,
        response: { 200: DagRunDetails, '4xx': ErrorBody },
      },
    },
    async ({ params }) => {
      const run = await findDagRun(db, params.dag_id, params.run_id)
      const instances = taskInstancesJson(
        await manifestOf(db, run),
        await readTaskInstances(db, run.dag_run_id),
      )
      return { ...dagRunJson(run), task_instances: instances }
    },
  )

  app.post(
    '/api/v2/dags/:dag_id/dagRuns/:run_id/cancel',
    {
      schema: {
        operationId: 'cancelDagRun',
        summary: 'End what runs of it, and start nothing more; it becomes failed',
        tags,
        params: DagRunParameters,
        response: { 202: DagRun, '4xx': ErrorBody },
      },
    },
    async ({ params }, reply) => {
      const run = await findDagRun(db, params.dag_id, params.run_id)
      if (!(await requestCancel(db, { dagRunId: run.dag_run_id, actor: apiActor }))) {
        throw new ConflictError(
          `run '${run.run_id}' of Dag '${run.dag_id}' has ended: nothing is left to cancel`,
          {
            details: params,
          },
        )
      }
      return reply.code(202).send(dagRunJson(run))
    },
  )

  app.post(
    '/api/v2/dags/:dag_id/dagRuns/:run_id/clear',
    {
      schema: {
        operationId: 'clearDagRun',
        summary: 'Run tasks of it again, those that run now after ending them',
        tags,
        params: DagRunParameters,
        body: ClearBody,
        response: { 200: ClearResult, 202: ClearResult, '4xx': ErrorBody },
      },
    },
    async ({ params, body }, reply) => {
      const run = await findDagRun(db, params.dag_id, params.run_id)
      const manifest = await manifestOf(db, run)
      checkTasks(manifest, run, body.task_ids ?? [])
      const instances = taskInstancesJson(manifest, await readTaskInstances(db, run.dag_run_id))
      const selected = selectToClear(manifest, instances, body)
      const result = {
        dry_run: body.dry_run ?? false,
        task_instances: selected.map(({ task_id, map_index, state }) => ({ task_id, map_index, state })),
      }
      if (result.dry_run) return result
      const taskIds = [...new Set(selected.map((one) => one.task_id))]
      if (!(await requestClear(db, { dagRunId: run.dag_run_id, taskIds, actor: apiActor }))) {
        throw new ConflictError(
          `run '${run.run_id}' of Dag '${run.dag_id}' is being cancelled: clear it when it has ended`,
          { details: params },
        )
      }
      return reply.code(202).send(result)
    },
  )
}
