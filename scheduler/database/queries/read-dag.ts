// One Dag with its manifest.
import type { DagManifest } from '../../../runtime/manifest.ts'
import type { Queryable } from '../connection.ts'
import { type DagRow, dagColumns, dagTables } from './dag-columns.ts'

export interface DagDetailsRow extends DagRow {
  version_created_at: Date
  manifest: DagManifest
}

/** Undefined where there is no such Dag. */
export async function readDag(db: Queryable, dagId: string): Promise<DagDetailsRow | undefined> {
  const { rows } = await db.query<DagDetailsRow>(
    `select ${dagColumns}, v.created_at as version_created_at, v.manifest
     from ${dagTables} where d.dag_id = $1`,
    [dagId],
  )
  return rows[0]
}
