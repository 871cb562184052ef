// What a pass of the loader answers: the Dags that are live after it, and what could not be loaded. Keys are
// spelled as in JSON and SQL, because rows are made of them.
import type { CommitSha } from '../ids.ts'
import type { DagManifest } from '../manifest.ts'

export interface LoadedDag {
  dag_id: string
  /** The Dag module, relative to the source path, with `/`. */
  file: string
  /** SHA-256 of the bundle file, in hexadecimal. */
  bundle_hash: string
  bundle_path: string
  manifest: DagManifest
  /** SHA-256 of bundle hash and manifest: equal content is the same version, whatever commit it comes with. */
  version_hash: string
}

export interface ImportError {
  /** The Dag module that is not loaded, relative to the source path; or the folder, or `package.json`. */
  file: string
  /** The file in which `line` and `column` are: `file` itself, or a helper that it imports. */
  error_file: string
  /** Counted from 1; null where the error has no place. */
  line: number | null
  column: number | null
  message: string
  /** What to do about it, where the message does not say so. */
  hint: string | null
  /** With the user's own files and lines; null where nothing was thrown. */
  stack: string | null
  /** The Dags of the module's last good load in this process, which stay live. */
  dag_ids: string[]
}

export interface LoadResult {
  /** null: the source path is a plain directory. */
  commit_sha: CommitSha | null
  /** The directory that was read, with links resolved. */
  source_path: string
  /** By dag_id. Of a module that failed: those of its last good load in this process. */
  dags: LoadedDag[]
  /** By file. */
  import_errors: ImportError[]
  /**
   * Whose Dags are to be kept, even though `dags` may not list them (a process that has just begun knows no last
   * good load): Dag modules, and folders that could not be read, which stand for all below them.
   */
  failed_files: string[]
  /** Dag modules that were found; how many of them were bundled anew, and imported anew, by this pass. */
  modules: number
  rebuilt: number
  imported: number
  duration_ms: number
}
