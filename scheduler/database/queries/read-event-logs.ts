// The audit: who asked for what.
import type { Queryable } from '../connection.ts'

export interface AuditEventRow {
  audit_event_id: number
  created_at: Date
  actor: string
  action: string
  dag_id: string | null
  run_id: string | null
  task_id: string | null
  details: Record<string, unknown>
}

export interface AuditEventFilter {
  /** null: any. */
  dagId: string | null
  runId: string | null
  limit: number
  offset: number
}

/** Newest first: by audit_event_dag_id for one Dag, by the primary key for all. */
export async function readEventLogs(
  db: Queryable,
  filter: AuditEventFilter,
): Promise<{ rows: AuditEventRow[]; total: number }> {
  const where = `where ($1::text is null or dag_id = $1) and ($2::text is null or run_id = $2)`
  const values = [filter.dagId, filter.runId]
  const [page, count] = await Promise.all([
    db.query<AuditEventRow>(
      `select audit_event_id, created_at, actor, action, dag_id, run_id, task_id, details
       from audit_event ${where} order by audit_event_id desc limit $3 offset $4`,
      [...values, filter.limit, filter.offset],
    ),
    db.query<{ total: number }>(`select count(*) as total from audit_event ${where}`, values),
  ])
  return { rows: page.rows, total: count.rows[0]!.total }
}
