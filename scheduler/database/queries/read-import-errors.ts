// What fails to load at present.
import type { Queryable } from '../connection.ts'

export interface ImportErrorRow {
  file: string
  /** Where line and column are. */
  error_file: string
  line: number | null
  column: number | null
  message: string
  hint: string | null
  stack: string | null
  commit_sha: string | null
  created_at: Date
}

/** In the order of the files. */
export async function readImportErrors(
  db: Queryable,
  page: { limit: number; offset: number },
): Promise<{ rows: ImportErrorRow[]; total: number }> {
  const [errors, count] = await Promise.all([
    db.query<ImportErrorRow>(
      `select file, error_file, line, "column", message, hint, stack, commit_sha, created_at
       from import_error order by file limit $1 offset $2`,
      [page.limit, page.offset],
    ),
    db.query<{ total: number }>('select count(*) as total from import_error'),
  ])
  return { rows: errors.rows, total: count.rows[0]!.total }
}
