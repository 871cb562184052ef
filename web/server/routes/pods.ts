// /api/v2/pods: the pods of attempts, as the schedulers' launch ledger has them. Nothing is asked of the cluster here.
import { NotFoundError } from '../../../runtime/errors.ts'
import { didYouMean } from '../../../runtime/nearest.ts'
import { readPod, readPodNames, readPods } from '../../../scheduler/database/queries/read-pods.ts'
import type { ApiApp } from '../api-app.ts'
import { checkDag, findDagRun } from '../find.ts'
import { podDetailsJson, podJson } from '../json/pod.ts'
import { defaultPageSize, ErrorBody } from '../schemas/common.ts'
import { PodCollection, PodDetails, PodListQuery, PodParameters } from '../schemas/pod.ts'
import type { RouteDeps } from './route-deps.ts'

const tags = ['Pod']

export function podRoutes(app: ApiApp, { db }: RouteDeps): void {
  app.get(
    '/api/v2/pods',
    {
      schema: {
        operationId: 'getPods',
        summary: 'Pods of attempts, those of the newest runs first',
        tags,
        querystring: PodListQuery,
        response: { 200: PodCollection, '4xx': ErrorBody },
      },
    },
    async ({ query }) => {
      const { dag_id: dagId, run_id: runId } = query
      const { rows, total } = await readPods(db, {
        dagId: dagId ?? null,
        runId: runId ?? null,
        namespace: query.namespace ?? null,
        states: query.state ?? null,
        limit: query.limit ?? defaultPageSize,
        offset: query.offset ?? 0,
      })
      if (total === 0 && dagId !== undefined) {
        await (runId === undefined ? checkDag(db, dagId) : findDagRun(db, dagId, runId))
      }
      return { pods: rows.map(podJson), total_entries: total }
    },
  )

  app.get(
    '/api/v2/pods/:namespace/:pod_name',
    {
      schema: {
        operationId: 'getPod',
        summary: 'One pod with the object that was sent to the cluster',
        tags,
        params: PodParameters,
        response: { 200: PodDetails, '4xx': ErrorBody },
      },
    },
    async ({ params: { namespace, pod_name } }) => {
      const row = await readPod(db, namespace, pod_name)
      if (row !== undefined) return podDetailsJson(row)
      const names = await readPodNames(db, namespace)
      const hint =
        names.length === 0 ? ' No attempt has a pod in that namespace' : didYouMean(pod_name, names)
      throw new NotFoundError(`no attempt has a pod '${pod_name}' in namespace '${namespace}'.${hint}`, {
        details: { namespace, pod_name },
      })
    },
  )
}
