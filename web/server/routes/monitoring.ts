// What tells how the system does: import errors, health, the audit.
import { DatabaseUnavailableError } from '../../../runtime/errors.ts'
import { readDeploymentId } from '../../../scheduler/database/pod-ledger.ts'
import { readEventLogs } from '../../../scheduler/database/queries/read-event-logs.ts'
import { readImportErrors } from '../../../scheduler/database/queries/read-import-errors.ts'
import { readSchedulers } from '../../../scheduler/database/queries/read-schedulers.ts'
import { readSchemaVersion } from '../../../scheduler/database/queries/read-schema-version.ts'
import type { ApiApp } from '../api-app.ts'
import { jsonRow } from '../json/dates.ts'
import { defaultPageSize, ErrorBody } from '../schemas/common.ts'
import {
  EventLogCollection,
  EventLogQuery,
  Health,
  ImportErrorCollection,
  PageQuery,
} from '../schemas/monitoring.ts'
import type { RouteDeps } from './route-deps.ts'

export function monitoringRoutes(app: ApiApp, deps: RouteDeps): void {
  const { db } = deps

  app.get(
    '/api/v2/importErrors',
    {
      schema: {
        operationId: 'getImportErrors',
        summary: 'Modules that fail to load; the last good versions of their Dags stay live',
        tags: ['ImportError'],
        querystring: PageQuery,
        response: { 200: ImportErrorCollection, '4xx': ErrorBody },
      },
    },
    async ({ query }) => {
      const page = { limit: query.limit ?? defaultPageSize, offset: query.offset ?? 0 }
      const { rows, total } = await readImportErrors(db, page)
      return { import_errors: rows.map(jsonRow), total_entries: total }
    },
  )

  app.get(
    '/api/v2/eventLogs',
    {
      schema: {
        operationId: 'getEventLogs',
        summary: 'Who asked for what, newest first',
        tags: ['EventLog'],
        querystring: EventLogQuery,
        response: { 200: EventLogCollection, '4xx': ErrorBody },
      },
    },
    async ({ query }) => {
      const { rows, total } = await readEventLogs(db, {
        dagId: query.dag_id ?? null,
        runId: query.run_id ?? null,
        limit: query.limit ?? defaultPageSize,
        offset: query.offset ?? 0,
      })
      return { event_logs: rows.map(jsonRow), total_entries: total }
    },
  )

  app.get(
    '/api/v2/monitor/health',
    {
      schema: {
        operationId: 'getHealth',
        summary: 'How database and schedulers do',
        tags: ['Monitor'],
        response: { 200: Health },
      },
    },
    () => health(deps),
  )
}

async function health({ db, version }: RouteDeps): Promise<Health> {
  try {
    const [schemaVersion, deploymentId, rows] = await Promise.all([
      readSchemaVersion(db),
      readDeploymentId(db),
      readSchedulers(db),
    ])
    const schedulers = rows.map((row) => ({
      ...jsonRow(row),
      status: row.lease_expires_in_ms > 0 ? ('healthy' as const) : ('unhealthy' as const),
    }))
    return {
      version,
      deployment_id: deploymentId,
      metadatabase: { status: 'healthy', schema_version: schemaVersion, message: null },
      scheduler: { status: schedulers.some((one) => one.status === 'healthy') ? 'healthy' : 'unhealthy' },
      schedulers,
    }
  } catch (error) {
    if (!(error instanceof DatabaseUnavailableError)) throw error
    return {
      version,
      deployment_id: null,
      metadatabase: { status: 'unhealthy', schema_version: null, message: error.message },
      scheduler: { status: null },
      schedulers: [],
    }
  }
}
