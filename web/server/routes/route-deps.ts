// What routes are handed.
import type { Database } from '../../../scheduler/database/connection.ts'
import type { ChangeFeed } from '../live/change-feed.ts'
import type { OpenStreams } from '../open-streams.ts'

export interface RouteDeps {
  db: Database
  feed: ChangeFeed
  streams: OpenStreams
  logsDir: string
  /** Of this release. */
  version: string
}

/** Who asked, in the audit: the API knows no users. */
export const apiActor = 'api'
