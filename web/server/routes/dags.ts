// /api/v2/dags and /api/v2/dags/{dag_id}.
import { readDags } from '../../../scheduler/database/queries/read-dags.ts'
import { setDagPaused } from '../../../scheduler/database/queries/set-dag-paused.ts'
import type { ApiApp } from '../api-app.ts'
import { findDag } from '../find.ts'
import { dagDetailsJson, dagJson } from '../json/dag.ts'
import { defaultPageSize, ErrorBody } from '../schemas/common.ts'
import { DagCollection, DagDetails, DagListQuery, DagParameters, DagPatch } from '../schemas/dag.ts'
import { apiActor, type RouteDeps } from './route-deps.ts'

const tags = ['Dag']

export function dagRoutes(app: ApiApp, { db }: RouteDeps): void {
  app.get(
    '/api/v2/dags',
    {
      schema: {
        operationId: 'getDags',
        summary: 'Dags, in the order of their names',
        tags,
        querystring: DagListQuery,
        response: { 200: DagCollection, '4xx': ErrorBody },
      },
    },
    async ({ query }) => {
      const { rows, total } = await readDags(db, {
        dagIdPattern: query.dag_id_pattern ?? null,
        isPaused: query.paused ?? null,
        includeStale: query.include_stale ?? false,
        limit: query.limit ?? defaultPageSize,
        offset: query.offset ?? 0,
      })
      return { dags: rows.map(dagJson), total_entries: total }
    },
  )

  app.get(
    '/api/v2/dags/:dag_id',
    {
      schema: {
        operationId: 'getDag',
        summary: 'One Dag with its tasks',
        tags,
        params: DagParameters,
        response: { 200: DagDetails, '4xx': ErrorBody },
      },
    },
    async ({ params }) => dagDetailsJson(await findDag(db, params.dag_id)),
  )

  app.patch(
    '/api/v2/dags/:dag_id',
    {
      schema: {
        operationId: 'patchDag',
        summary: 'Pause a Dag, or let it run again',
        tags,
        params: DagParameters,
        body: DagPatch,
        response: { 200: DagDetails, '4xx': ErrorBody },
      },
    },
    async ({ params, body }) => {
      await setDagPaused(db, { dagId: params.dag_id, isPaused: body.is_paused, actor: apiActor })
      return dagDetailsJson(await findDag(db, params.dag_id))
    },
  )
}
