// What the loader and a manifest reader say to each other: one JSON object a line, inward on file descriptor 3,
// outward on 4, so that nothing a Dag module prints gets between. One request at a time, each with an id that
// cannot be guessed, so that a module cannot answer for those that are imported after it.
import type { DagManifest } from '../manifest.ts'

/** File descriptors of the reader. */
export const requestsFd = 3
export const answersFd = 4

export interface ReadRequest {
  id: string
  /** URL of the bundle. */
  bundle_url: string
  /** The commit's directory: working directory, and what import.meta speaks of. */
  source_path: string
}

/** Where in the bundle a Dag was made, counted from 1; null: outside of it. */
export interface BundlePosition {
  line: number
  column: number
}

/** What importing a bundle showed. */
export interface ModuleReading {
  /** In the order of the module's exports. */
  dags: { manifest: DagManifest; made_at: BundlePosition | null }[]
  /** Dags that were made while it was imported and are not among its exports. */
  unexported: { dag_id: string; made_at: BundlePosition | null }[]
}

/** What a module threw. */
export interface ThrownReport {
  name: string
  message: string
  /** Of our errors and Node's; null for others. */
  code: string | null
  stack: string | null
}

export type ReaderAnswer =
  /** Requests are welcome. Sent once. */
  | { type: 'ready' }
  | { type: 'read'; id: string; reading: ModuleReading }
  | { type: 'threw'; id: string; error: ThrownReport }
  /** The process ends at once: somebody called process.exit, or threw where nobody catches. */
  | { type: 'ending'; id: string; exit_code: number | null; error: ThrownReport }
