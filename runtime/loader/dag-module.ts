// What the loader remembers of one Dag module between passes, and whether that still holds. A module is built
// anew when an input's content changed, when one of its imports might lead elsewhere (resolution.ts), and when
// it failed: the cause may lie in files that esbuild never told of.
import { resolve } from 'node:path'
import type { Bundle } from './bundle.ts'
import type { FileHashes } from './file-hashes.ts'
import type { ImportError, LoadedDag } from './load-result.ts'
import type { ModuleReading } from './reader-protocol.ts'
import { type ResolutionFacts, type ResolutionView, resolutionFacts } from './resolution.ts'

export interface DagModule {
  /** Relative to the root. */
  readonly file: string
  /** Of the last build, if it went well. */
  build: ModuleBuild | null
  /** Of that build's bundle; null: not read yet, or failed. */
  reading: { bundleHash: string; root: string; reading: ModuleReading } | null
  /** An import that reached a limit or ended its process, and until when that is taken as its last word. */
  costlyFailure: { key: string; untilMs: number; error: ImportError } | null
  /** What the module says now; null where it failed. */
  candidates: LoadedDag[] | null
  /** Why it failed. */
  error: ImportError | null
  /** What of it is live since the last pass. */
  live: LoadedDag[]
}

export interface ModuleBuild {
  bundleHash: string
  usesSourcePlace: boolean
  /** Path as in the bundle's inputs → content hash; null: it changed while it was built. */
  inputs: Map<string, string | null>
  facts: ResolutionFacts
  resolution: string
  packagesKey: string
}

/** What a pass sees. */
export interface PassView {
  root: string
  hashes: FileHashes
  resolution: ResolutionView
  packagesKey: string
  /** The directory of a commit does not change, so there is no looking again while it is read. */
  isCommit: boolean
}

/**
 * Clocks of file systems go in steps of up to 10 ms. Smaller: an edit during a build may be missed. Larger: what
 * was checked out just before is built twice.
 */
const clockStepMs = 20

export function newDagModule(file: string): DagModule {
  return { file, build: null, reading: null, costlyFailure: null, candidates: null, error: null, live: [] }
}

/** Whether the last build is not what a build would give now. */
export function needsBuild(module: DagModule, view: PassView): boolean {
  const { build, error } = module
  if (build === null || error !== null || build.packagesKey !== view.packagesKey) return true
  for (const [path, contentHash] of build.inputs) {
    if (contentHash === null || view.hashes.get(resolve(view.root, path)).contentHash !== contentHash)
      return true
  }
  return view.resolution.signature(build.facts) !== build.resolution
}

/**
 * Whether the bundle has to be imported, as far as this process knows. One that asks for its place may read
 * files there that it does not import, so what it says is good for one commit; in a plain directory for one pass.
 */
export function needsReading({ build, reading }: DagModule, { root, isCommit }: PassView): boolean {
  if (build === null) return false
  if (reading === null || reading.bundleHash !== build.bundleHash) return true
  return build.usesSourcePlace && !(isCommit && reading.root === root)
}

/** Notes what a bundle was made of. Called right after its build, which began at `startMs` since the epoch. */
export function buildOf(bundle: Bundle, view: PassView, startMs: number): ModuleBuild {
  const inputs = bundle.inputs.map(({ path }): [string, string | null] => {
    const absolutePath = resolve(view.root, path)
    if (view.isCommit) return [path, view.hashes.get(absolutePath).contentHash]
    const { contentHash, changedMs } = view.hashes.getNow(absolutePath)
    return [path, changedMs > startMs - clockStepMs ? null : contentHash]
  })
  const facts = resolutionFacts(bundle.inputs)
  return {
    bundleHash: bundle.hash,
    usesSourcePlace: bundle.usesSourcePlace,
    inputs: new Map(inputs),
    facts,
    // As the pass saw it before the build: what changed since is seen by the next pass.
    resolution: view.resolution.signature(facts),
    packagesKey: view.packagesKey,
  }
}
