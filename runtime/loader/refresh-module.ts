// What a pass does with one module that is not as it was: bundles it, and finds out its Dags, from the store of
// bundles or by an import. Both leave in the module either what it says now or why it says nothing.
import type { Clock } from '../clock.ts'
import { buildError } from './build-error.ts'
import { bundle } from './bundle.ts'
import type { BundleStore } from './bundle-store.ts'
import { buildOf, type DagModule, type PassView } from './dag-module.ts'
import { importError } from './import-error.ts'
import { judgeReading } from './judge-reading.ts'
import type { ImportError } from './load-result.ts'
import { type ModuleImports, slowImportMs } from './module-imports.ts'
import type { Packages } from './packages.ts'

/** Smaller: each push waits anew for a module that never ends. Larger: one that was slow by chance stays failed. */
const costlyFailureMs = 10 * 60_000

const slowImportHint =
  'move what takes time (requests, large files) from the top level of the module into a task'

/** Bundles the module; afterwards `build` is null if that failed. */
export async function rebuildModule(
  module: DagModule,
  { view, packages, store }: { view: PassView; packages: Packages; store: BundleStore },
): Promise<void> {
  const { root } = view
  const { file } = module
  const startMs = Date.now()
  const built = await bundle({ root, file, packagesDir: packages.directory, alias: packages.alias })
  if ('errors' in built) {
    module.build = null
    fail(module, buildError(built.errors, { root, file, packages }))
    return
  }
  store.putBundle(built.hash, built.code)
  module.build = buildOf(built, view, startMs)
  // A module that failed is judged anew, from the store if its import was not what failed.
  if (module.error !== null) module.reading = null
}

/** Finds out the Dags of a module that is built. @returns whether that took an import */
export async function readModule(
  module: DagModule,
  options: { root: string; store: BundleStore; imports: ModuleImports; clock: Clock; signal: AbortSignal },
): Promise<boolean> {
  const { root, store, imports, clock, signal } = options
  const { file } = module
  const { bundleHash, usesSourcePlace } = module.build!
  const key = importKey(module, root)
  if (module.costlyFailure?.key === key && clock.now() < module.costlyFailure.untilMs) {
    fail(module, module.costlyFailure.error)
    return false
  }
  const bundlePath = store.pathOf(bundleHash)
  const kept = usesSourcePlace ? null : store.getReading(bundleHash)
  const reading = kept ?? (await imports.get(key, { file, bundlePath, sourcePath: root }, signal))
  module.costlyFailure = null
  module.reading = null
  if (reading === 'slow') {
    const message = `takes longer than ${slowImportMs / 1_000} s to import: not waited for any longer, but not given up yet`
    fail(module, importError(file, message, { hint: slowImportHint }))
  } else if ('message' in reading) {
    const error = importError(file, reading.message, reading)
    if (reading.isCostly) module.costlyFailure = { key, untilMs: clock.now() + costlyFailureMs, error }
    fail(module, error)
  } else {
    if (kept === null && !usesSourcePlace) store.putReading(bundleHash, reading)
    module.reading = { bundleHash, root, reading }
    const judged = judgeReading({ file, bundleHash, bundlePath, reading })
    if (Array.isArray(judged)) Object.assign(module, { candidates: judged, error: null })
    else fail(module, judged)
  }
  return kept === null
}

/** What an import of the module is an import of: a bundle that asks for its place says something else elsewhere. */
export function importKey({ build }: DagModule, root: string): string {
  return build === null ? '' : build.usesSourcePlace ? `${build.bundleHash} ${root}` : build.bundleHash
}

function fail(module: DagModule, error: ImportError): void {
  module.error = error
  module.candidates = null
}
