// Dag versions as runs need them: manifest and bundle by id.
import type { DagManifest } from '../../runtime/manifest.ts'
import type { Queryable } from './connection.ts'

export interface DagVersionRow {
  dag_version_id: number
  dag_id: string
  version_number: number
  bundle_hash: string
  manifest: DagManifest
}

export async function readDagVersions(db: Queryable, ids: readonly number[]): Promise<DagVersionRow[]> {
  const { rows } = await db.query<DagVersionRow>(
    `select dag_version_id, dag_id, version_number, bundle_hash, manifest
     from dag_version where dag_version_id = any ($1)`,
    [ids],
  )
  return rows
}

/** The text of a bundle; undefined where no version has it. */
export async function readBundle(db: Queryable, bundleHash: string): Promise<string | undefined> {
  const { rows } = await db.query<{ code: string }>('select code from bundle where bundle_hash = $1', [
    bundleHash,
  ])
  return rows[0]?.code
}
