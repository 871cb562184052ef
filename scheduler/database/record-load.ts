// Writes the difference between what the loader found and what the database says: bundles, Dag versions, Dags,
// import errors. May run any number of times and in any number of schedulers: content makes a version, so the same
// content is found again and not made again.
import { readFile } from 'node:fs/promises'
import type { ImportError, LoadedDag, LoadResult } from '../../runtime/loader/load-result.ts'
import type { Database, Queryable } from './connection.ts'

export interface RecordedLoad {
  /** dag_ids of versions that are new with this load. */
  newVersions: string[]
  /** dag_ids that were live before and are in no module any more. */
  stale: string[]
}

/** Serialises loads of several schedulers; a load is rare and takes milliseconds. */
const loadLock = 7_301_946_216

/**
 * Files that failed keep their Dags as they are. Paused Dags stay paused; a new one begins as its module says,
 * or else as `arePausedAtCreation`.
 */
export function recordLoad(
  db: Database,
  load: LoadResult,
  options: { arePausedAtCreation: boolean },
): Promise<RecordedLoad> {
  return db.transaction(async (connection) => {
    await connection.query('select pg_advisory_xact_lock($1)', [loadLock])
    const live = await readLiveDags(connection)
    const loaded = load.dags.filter((dag) => !isFailed(load, dag.file))
    const newVersions: string[] = []
    for (const dag of loaded) {
      const known = live.get(dag.dag_id)
      if (known?.version_hash === dag.version_hash && !known.is_stale) continue
      if (await recordVersion(connection, dag, load.commit_sha, options.arePausedAtCreation)) {
        newVersions.push(dag.dag_id)
      }
    }
    // New runs of a Dag whose module loads now see the files of this commit, also where its version is older.
    await connection.query(
      `update dag set commit_sha = $1
       where dag_id = any ($2) and commit_sha is distinct from $1`,
      [load.commit_sha, loaded.map((dag) => dag.dag_id)],
    )
    const stale = await markStale(connection, load)
    await recordImportErrors(connection, load.import_errors, load.commit_sha)
    return { newVersions, stale }
  })
}

interface LiveDag {
  dag_id: string
  version_hash: string
  is_stale: boolean
}

async function readLiveDags(db: Queryable): Promise<Map<string, LiveDag>> {
  const { rows } = await db.query<LiveDag>(
    'select d.dag_id, v.version_hash, d.is_stale from dag d join dag_version v using (dag_version_id)',
  )
  return new Map(rows.map((row) => [row.dag_id, row]))
}

/** @returns whether this content was never a version of this Dag before */
async function recordVersion(
  db: Queryable,
  dag: LoadedDag,
  commitSha: string | null,
  arePausedAtCreation: boolean,
): Promise<boolean> {
  const { manifest } = dag
  await db.query(
    'insert into bundle (bundle_hash, code) values ($1, $2) on conflict (bundle_hash) do nothing',
    [dag.bundle_hash, await readFile(dag.bundle_path, 'utf8')],
  )
  const inserted = await db.query<{ dag_version_id: number }>(
    `insert into dag_version (dag_id, version_number, version_hash, bundle_hash, manifest, file, commit_sha)
     select $1, coalesce(max(version_number), 0) + 1, $2, $3, $4, $5, $6 from dag_version where dag_id = $1
     on conflict (dag_id, version_hash) do nothing
     returning dag_version_id`,
    [dag.dag_id, dag.version_hash, dag.bundle_hash, JSON.stringify(manifest), dag.file, commitSha],
  )
  // A schedule may have changed with the version: what comes next is worked out anew (next_run_after null and due).
  await db.query(
    `insert into dag (dag_id, dag_version_id, commit_sha, is_paused, max_active_runs, next_run_after)
     select $1, dag_version_id, $3, $4, $5, '-infinity'
     from dag_version where dag_id = $1 and version_hash = $2
     on conflict (dag_id) do update
     set dag_version_id = excluded.dag_version_id, commit_sha = excluded.commit_sha, is_stale = false,
         max_active_runs = excluded.max_active_runs,
         next_logical_date = null, next_data_interval_start = null, next_data_interval_end = null,
         next_run_after = '-infinity'`,
    [
      dag.dag_id,
      dag.version_hash,
      commitSha,
      manifest.is_paused_upon_creation ?? arePausedAtCreation,
      manifest.max_active_runs,
    ],
  )
  return inserted.rows.length > 0
}

/** Whether `file` failed to load, by itself or with a folder that it is in; its Dags stay as they are. */
function isFailed(load: LoadResult, file: string): boolean {
  return load.failed_files.some(
    (failed) => file === failed || failed === '.' || file.startsWith(`${failed}/`),
  )
}

/** Dags that no module has any more. */
async function markStale(db: Queryable, load: LoadResult): Promise<string[]> {
  const found = new Set(load.dags.map((dag) => dag.dag_id))
  const { rows } = await db.query<{ dag_id: string; file: string }>(
    'select d.dag_id, v.file from dag d join dag_version v using (dag_version_id) where not d.is_stale',
  )
  const stale = rows
    .filter(({ dag_id, file }) => !found.has(dag_id) && !isFailed(load, file))
    .map(({ dag_id }) => dag_id)
  if (stale.length > 0) await db.query('update dag set is_stale = true where dag_id = any ($1)', [stale])
  return stale
}

async function recordImportErrors(
  db: Queryable,
  errors: readonly ImportError[],
  commitSha: string | null,
): Promise<void> {
  await db.query('delete from import_error where file <> all ($1)', [errors.map((error) => error.file)])
  for (const error of errors) {
    await db.query(
      `insert into import_error (file, error_file, line, "column", message, hint, stack, commit_sha)
       values ($1, $2, $3, $4, $5, $6, $7, $8)
       on conflict (file) do update
       set error_file = excluded.error_file, line = excluded.line, "column" = excluded."column", message = excluded.message, hint = excluded.hint,
           stack = excluded.stack, commit_sha = excluded.commit_sha, created_at = now()`,
      [
        error.file,
        error.error_file,
        error.line,
        error.column,
        error.message,
        error.hint,
        error.stack,
        commitSha,
      ],
    )
  }
}
