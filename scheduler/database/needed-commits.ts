import type { Queryable } from './connection.ts'

/** Commits that a queued or running run is pinned to, or that a Dag's next run would be. */
export async function neededCommits(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ commit_sha: string }>(
    `select commit_sha from dag_run where state in ('queued', 'running') and commit_sha is not null
     union
     select commit_sha from dag where not is_stale and commit_sha is not null`,
  )
  return rows.map((row) => row.commit_sha)
}
