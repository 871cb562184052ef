// GET /api/v2/events: live events.
import { Type } from 'typebox'
import { InvalidInputError } from '../../../runtime/errors.ts'
import type { ApiApp } from '../api-app.ts'
import { checkDag, findDagRun } from '../find.ts'
import { eventStream } from '../live/event-stream.ts'
import { runsView, runView, type View } from '../live/views.ts'
import { ErrorBody } from '../schemas/common.ts'
import { type LiveQuery, LiveQuery as LiveQuerySchema } from '../schemas/live-event.ts'
import type { RouteDeps } from './route-deps.ts'

export function eventRoutes(app: ApiApp, deps: RouteDeps): void {
  app.get(
    '/api/v2/events',
    {
      schema: {
        operationId: 'getEvents',
        summary: 'Server-sent events: dag_run, task_instances, dags, reload',
        tags: ['Event'],
        querystring: LiveQuerySchema,
        response: {
          200: {
            description: 'Events until the client goes away.',
            content: { 'text/event-stream': { schema: Type.String() } },
          },
          '4xx': ErrorBody,
        },
      },
    },
    async ({ query }, reply) => {
      const view = await viewFor(deps, query)
      return deps.streams.send(reply, 'text/event-stream', (signal) =>
        eventStream({ feed: deps.feed, view, signal }),
      )
    },
  )
}

async function viewFor({ db }: RouteDeps, { dag_id, run_id }: LiveQuery): Promise<View> {
  if (run_id === undefined) {
    if (dag_id !== undefined) await checkDag(db, dag_id)
    return runsView(db, dag_id ?? null)
  }
  if (dag_id === undefined)
    throw new InvalidInputError('run_id needs dag_id: run_ids are unique in their Dag')
  return await runView(db, await findDagRun(db, dag_id, run_id))
}
