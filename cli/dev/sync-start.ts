// How sync is started for what `dev` follows. A repository that was published before is followed from what is there,
// with or without its server; of one that is new here the first sync must succeed, so that a wrong URL is an error
// and not an empty list of Dags.
import { homedir } from 'node:os'
import type { DevState } from './data-directory.ts'
import { type DevProgram, syncPart } from './dev-parts.ts'
import type { RepositorySource } from './dev-source.ts'
import type { Part } from './supervisor.ts'
import { syncArguments } from './sync-arguments.ts'

export interface SyncStart {
  source: RepositorySource
  /** What the last start followed. */
  state: DevState | undefined
  /** sync's own directory. */
  root: string
  /** Loopback port of its HTTP endpoint. */
  port: number
  period: string | undefined
  /** Commits of history that a run can see; 0: all. */
  depth: number
  env: DevProgram['env']
  onLine: DevProgram['onLine']
}

/** sync as a part. */
export function syncPartFor(start: SyncStart): Part {
  const { source, state, env, onLine, root, port, period, depth } = start
  const isKnown = state?.repo === source.repo && state.ref === source.ref
  let mustSucceed = !isKnown
  const args = () => {
    const made = syncArguments({ source, root, port, period, mustSucceed, depth, env, home: homedir() })
    // What comes after the first start is a restart: it was right once.
    mustSucceed = false
    return made
  }
  return syncPart({ env, onLine, args, readiness: isKnown ? 'spawned' : 'reported' })
}
