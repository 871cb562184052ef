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

/** Bundles of so many Dags are in memory at once, on both sides. */
const dagsPerStatement = 100

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
    const changed = loaded.filter(({ dag_id, version_hash }) => {
      const known = live.get(dag_id)
      return known?.version_hash !== version_hash || known.is_stale
    })
    const newVersions: string[] = []
    while (changed.length > 0) {
      const some = changed.splice(0, dagsPerStatement)
      newVersions.push(
        ...(await recordVersions(connection, some, load.commit_sha, options.arePausedAtCreation)),
      )
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

/** @returns dag_ids of those whose content was never a version before */
async function recordVersions(
  db: Queryable,
  dags: readonly LoadedDag[],
  commitSha: string | null,
  arePausedAtCreation: boolean,
): Promise<string[]> {
  // Dags of one module share its bundle.
  const bundles = new Map(dags.map((dag) => [dag.bundle_hash, dag.bundle_path]))
  await db.query(
    `insert into bundle (bundle_hash, code)
     select * from unnest($1::text[], $2::text[])
     on conflict (bundle_hash) do nothing`,
    [
      [...bundles.keys()],
      await Promise.all([...bundles.values()].map((bundlePath) => readFile(bundlePath, 'utf8'))),
    ],
  )
  const rows = JSON.stringify(
    dags.map(({ dag_id, version_hash, bundle_hash, file, manifest }) => ({
      dag_id,
      version_hash,
      bundle_hash,
      file,
      manifest,
      is_paused: manifest.is_paused_upon_creation ?? arePausedAtCreation,
      max_active_runs: manifest.max_active_runs,
    })),
  )
  const inserted = await db.query<{ dag_id: string }>(
    `insert into dag_version (dag_id, version_number, version_hash, bundle_hash, manifest, file, commit_sha)
     select c.dag_id, 1 + coalesce((select max(version_number) from dag_version v where v.dag_id = c.dag_id), 0),
            c.version_hash, c.bundle_hash, c.manifest, c.file, $2
     from json_to_recordset($1) as c (
       dag_id text, version_hash text, bundle_hash text, manifest jsonb, file text)
     on conflict (dag_id, version_hash) do nothing
     returning dag_id`,
    [rows, commitSha],
  )
  // A schedule may have changed with the version: what comes next is worked out anew, at once.
  await db.query(
    `insert into dag (dag_id, dag_version_id, commit_sha, is_paused, max_active_runs, next_run_after)
     select c.dag_id, v.dag_version_id, $2, c.is_paused, c.max_active_runs, '-infinity'
     from json_to_recordset($1) as c (
       dag_id text, version_hash text, is_paused boolean, max_active_runs integer)
     join dag_version v using (dag_id, version_hash)
     on conflict (dag_id) do update
     set dag_version_id = excluded.dag_version_id, commit_sha = excluded.commit_sha, is_stale = false,
         max_active_runs = excluded.max_active_runs,
         next_logical_date = null, next_data_interval_start = null, next_data_interval_end = null,
         next_run_after = '-infinity'`,
    [rows, commitSha],
  )
  return inserted.rows.map((row) => row.dag_id)
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
