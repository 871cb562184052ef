// Pods of the launch ledger, for the API: with the run that they are of, and what was seen of them.
import type { PodObservation } from '../../../k8s/pod-observation.ts'
import type { Queryable } from '../connection.ts'
import type { PodKind, PodState } from '../pod-rows.ts'
import type { AttemptKey } from './read-attempts.ts'

export interface ShownPodRow {
  dag_id: string
  run_id: string
  task_id: string
  map_index: number
  try_number: number
  kind: PodKind
  namespace: string
  pod_name: string
  uid: string | null
  state: PodState
  is_gone: boolean
  waiting_reason: string | null
  waiting_message: string | null
  observation: PodObservation | null
  memory_peak_bytes: number | null
  planned_at: Date
  created_at: Date | null
  started_at: Date | null
  ended_at: Date | null
  delete_after: Date | null
}

const columns = `r.dag_id, r.run_id, p.task_id, p.map_index, p.try_number, p.kind, p.namespace, p.pod_name, p.uid,
  p.state, p.is_gone, p.waiting_reason, p.waiting_message, p.observation, p.memory_peak_bytes, p.planned_at,
  p.created_at, p.started_at, p.ended_at, p.delete_after`
const tables = 'pod p join dag_run r using (dag_run_id)'

/** json columns come as text. */
type RawRow = Omit<ShownPodRow, 'observation'> & { observation: string | null }

function shownRow<Row extends RawRow>({ observation, ...row }: Row) {
  return { ...row, observation: observation === null ? null : (JSON.parse(observation) as PodObservation) }
}

/** Of each attempt of a task instance that has one, oldest first; by the primary key. */
export async function readPodsOfInstance(db: Queryable, key: AttemptKey): Promise<ShownPodRow[]> {
  const { rows } = await db.query<RawRow>(
    `select ${columns} from ${tables}
     where p.dag_run_id = $1 and p.task_id = $2 and p.map_index = $3
     order by p.try_number`,
    [key.dag_run_id, key.task_id, key.map_index],
  )
  return rows.map(shownRow)
}

export interface PodFilter {
  /** Each null: of any. */
  dagId: string | null
  runId: string | null
  namespace: string | null
  states: readonly PodState[] | null
  limit: number
  offset: number
}

/** Those of the newest runs first, and how many there are in all; a Dag's by dag_run_recent and the primary key. */
export async function readPods(
  db: Queryable,
  filter: PodFilter,
): Promise<{ rows: ShownPodRow[]; total: number }> {
  const where = `where ($1::text is null or r.dag_id = $1) and ($2::text is null or r.run_id = $2)
    and ($3::text is null or p.namespace = $3) and ($4::text[] is null or p.state = any ($4))`
  const values = [filter.dagId, filter.runId, filter.namespace, filter.states]
  const [page, count] = await Promise.all([
    db.query<RawRow>(
      `select ${columns} from ${tables} ${where}
       order by p.dag_run_id desc, p.task_id, p.map_index, p.try_number desc limit $5 offset $6`,
      [...values, filter.limit, filter.offset],
    ),
    db.query<{ total: number }>(`select count(*) as total from ${tables} ${where}`, values),
  ])
  return { rows: page.rows.map(shownRow), total: count.rows[0]!.total }
}

/** The newest of a name, with the object that was sent as JSON text; by the ledger's index on names. */
export async function readPod(
  db: Queryable,
  namespace: string,
  podName: string,
): Promise<(ShownPodRow & { manifest: string }) | undefined> {
  const { rows } = await db.query<RawRow & { manifest: string }>(
    `select ${columns}, p.manifest from ${tables} where p.namespace = $1 and p.pod_name = $2
     order by p.planned_at desc limit 1`,
    [namespace, podName],
  )
  return rows.map(shownRow)[0]
}

/** Names of pods in a namespace, the newest first, for suggestions; a thousand at most. */
export async function readPodNames(db: Queryable, namespace: string): Promise<string[]> {
  const { rows } = await db.query<{ pod_name: string }>(
    'select pod_name from pod where namespace = $1 order by dag_run_id desc limit 1000',
    [namespace],
  )
  return rows.map((row) => row.pod_name)
}
