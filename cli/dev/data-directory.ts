// What `dev` keeps of itself in its data directory, in `dev.json`: which layout the directory has, so that another
// release does not guess, and what it followed last. Everything else in there belongs to the programs.
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../runtime/errors.ts'
import { version } from '../../runtime/version.ts'

/** Of the directory as a whole; counted up when a release can no longer work with what an older one left. */
const layoutVersion = 1

export interface DevState {
  layout_version: number
  /** The release that wrote it. */
  branchline: string
  /** Followed last; null: a plain directory. */
  repo: string | null
  ref: string | null
  /** Of sync's HTTP endpoint, kept so that webhooks stay configured; null: never had one. */
  sync_port: number | null
}

/**
 * What the last `dev` of this directory left; undefined on the first start.
 * @throws ConfigError where the directory has another layout
 */
export async function readDevState(dataDir: string): Promise<DevState | undefined> {
  const path = join(dataDir, 'dev.json')
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  const state = parse(text)
  if (state?.layout_version === layoutVersion) return state
  const found =
    state === undefined
      ? 'cannot be read'
      : `says layout version ${state.layout_version}, of release ${state.branchline}`
  throw new ConfigError(
    `the data directory ${dataDir} is not one of this release (${version}, layout version ${layoutVersion}): its dev.json ${found}. Use the release that made it, or another directory with --data-dir`,
    { details: { path } },
  )
}

/** Replaces it as a whole. */
export async function writeDevState(
  dataDir: string,
  state: Pick<DevState, 'repo' | 'ref' | 'sync_port'>,
): Promise<void> {
  const path = join(dataDir, 'dev.json')
  const whole: DevState = { layout_version: layoutVersion, branchline: version, ...state }
  await writeFile(`${path}.new`, `${JSON.stringify(whole, null, 2)}\n`)
  await rename(`${path}.new`, path)
}

function parse(text: string): DevState | undefined {
  try {
    const state: unknown = JSON.parse(text)
    return typeof state === 'object' && state !== null ? (state as DevState) : undefined
  } catch {
    return undefined
  }
}
