// Keeps the Dags of a directory loaded. A pass reads the present state of the directory and answers with all that
// is live after it; it may be made at any time, and what did not change since the last one costs a look at each
// file. A pass: resolve the source → find Dag modules → see to their packages → find those that changed → bundle
// and import them → settle whose dag_id is whose → answer.
//
// What is remembered between passes is only ever a shortcut: after a restart the same directory gives the same
// answer, by way of the bundles folder without importing anything again.
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { type Clock, systemClock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { createBundleStore } from './bundle-store.ts'
import { dagsToBe, findClashes } from './clashes.ts'
import { type DagModule, needsBuild, needsReading, newDagModule, type PassView } from './dag-module.ts'
import { type Discovery, discoverDagModules } from './discover.ts'
import { FileHashes } from './file-hashes.ts'
import { importError } from './import-error.ts'
import { sourcePlace } from './judge-reading.ts'
import type { ImportError, LoadedDag, LoadResult } from './load-result.ts'
import { createModuleImports } from './module-imports.ts'
import { createNewestWins } from './newest-wins.ts'
import { createPackages, type Packages } from './packages.ts'
import { createManifestReaders } from './read-manifest.ts'
import { importKey, readModule, rebuildModule } from './refresh-module.ts'
import { ResolutionView } from './resolution.ts'
import { isWithin, resolveSource, type Source } from './source.ts'

export interface LoaderOptions {
  /** The link that sync publishes, or a plain directory. */
  sourcePath: string
  /** Relative to the source. */
  dagsFolder: string
  /** Name of the files that list what is no Dag module, as .gitignore does. */
  ignoreFile: string
  /** Where bundles are kept, by hash. May be shared with other loaders. */
  bundlesDir: string
  /** Where packages are installed, by content of the lockfile. May be shared with other loaders. */
  packagesDir: string
  /** For one module. Default 30 s. */
  importTimeoutMs?: number
  /** Heap of the process that imports Dag modules. Default 512. */
  memoryMb?: number
  allowInstallScripts: boolean
  /** npm's environment, for proxies and registries. Default: PATH and HOME alone. */
  npmEnv?: Readonly<Record<string, string>>
  clock?: Clock
  /** Called when a module that a pass did not wait for has been imported: the next pass has more to say. */
  wake?: () => void
  log: Logger
}

export interface Loader {
  /**
   * Makes a pass. A call while one is under way has a new one begin at once, whose answer both callers get.
   * @throws NotFoundError where the source path does not exist, and the signal's reason when it fires
   */
  load(signal?: AbortSignal): Promise<LoadResult>
  /** Ends passes and processes; waits until they are gone. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

interface Refresh {
  source: Source
  packages: Packages
  /** The modules that were found. */
  files: readonly string[]
  signal: AbortSignal
}

/** esbuild's own process uses the cores; more in flight gains nothing, fewer leave it waiting for us. */
const buildsInFlight = 8

export function createLoader(options: LoaderOptions): Loader {
  const { sourcePath, dagsFolder, ignoreFile, allowInstallScripts, clock = systemClock, log } = options
  const { importTimeoutMs = 30_000, memoryMb = 512 } = options
  const bundlesDir = resolve(options.bundlesDir)
  const packagesDir = resolve(options.packagesDir)
  const npmEnv = options.npmEnv ?? { PATH: process.env.PATH ?? '', HOME: homedir() }
  const hashes = new FileHashes()
  const store = createBundleStore(bundlesDir)
  const readers = createManifestReaders({ bundlesDir, importTimeoutMs, memoryMb, log })
  const imports = createModuleImports(readers, options.wake ?? (() => {}))
  const packageStore = createPackages({ packagesDir, allowInstallScripts, npmEnv, clock, log })
  const modules = new Map<string, DagModule>()

  async function pass(signal: AbortSignal): Promise<LoadResult> {
    const startMs = performance.now()
    const source = resolveSource(sourcePath)
    hashes.beginPass()
    store.prepare()
    const discovery = await discoverDagModules({ root: source.root, dagsFolder, ignoreFile, hashes })
    // Sync removes the directory of a commit that is no longer published: what is missing there means nothing.
    if (!existsSync(source.root)) return await pass(signal)
    const packages = await packageStore.prepare(source.root, signal)
    signal.throwIfAborted()
    keepModules(discovery)
    const counts = await refreshModules({ source, packages, files: discovery.files, signal })
    imports.keepOnly(new Set([...modules.values()].map((module) => importKey(module, source.root))))
    if (!existsSync(source.root)) return await pass(signal)
    const failures = settle(discovery.files)
    const errors = [...discovery.errors, ...failures]
    const result: LoadResult = {
      commit_sha: source.commitSha,
      source_path: source.root,
      dags: [...modules.values()].flatMap(({ live }) => live).sort((a, b) => (a.dag_id < b.dag_id ? -1 : 1)),
      import_errors: [...errors, ...(packages.error === null ? [] : [packages.error])]
        .map((error) => ({ ...error, dag_ids: liveDagIds(error.file) }))
        .sort((a, b) => (a.file < b.file ? -1 : 1)),
      failed_files: errors.map(({ file }) => file).sort(),
      modules: discovery.files.length,
      ...counts,
      duration_ms: performance.now() - startMs,
    }
    logResult(result)
    return result
  }

  function keepModules({ files, errors }: Discovery): void {
    const found = new Set(files)
    const isUnknown = (file: string) =>
      errors.some((folder) => folder.file === '.' || isWithin(folder.file, file))
    for (const file of modules.keys()) if (!found.has(file) && !isUnknown(file)) modules.delete(file)
    for (const file of files) if (!modules.has(file)) modules.set(file, newDagModule(file))
  }

  async function refreshModules({ source, packages, files, signal }: Refresh) {
    const { root, commitSha } = source
    const view: PassView = {
      root,
      hashes,
      resolution: new ResolutionView(root, hashes),
      packagesKey: packages.key,
      isCommit: commitSha !== null,
    }
    const stale: { module: DagModule; isBuildStale: boolean }[] = []
    for (const file of files) {
      const module = modules.get(file)!
      const isBuildStale = needsBuild(module, view)
      if (isBuildStale || needsReading(module, view)) stale.push({ module, isBuildStale })
      if (stale.length === 1) readers.warmUp()
      await hashes.breathe()
    }
    let imported = 0
    await forEachConcurrently(stale, buildsInFlight, async ({ module, isBuildStale }) => {
      signal.throwIfAborted()
      if (isBuildStale) await rebuildModule(module, { view, packages, store })
      if (!needsReading(module, view)) return
      if (await readModule(module, { root, store, imports, clock, signal })) imported++
    })
    return { rebuilt: stale.filter(({ isBuildStale }) => isBuildStale).length, imported }
  }

  /** Decides what is live. @returns why modules, or their newest state, are not */
  function settle(files: readonly string[]): ImportError[] {
    const all = [...modules.values()]
    const lost = findClashes(all)
    const lives = new Map(all.map((module) => [module, [...dagsToBe(module, lost)]]))
    const clashErrors = [...lost].map(([module, { dag_id, ownerFile }]) => {
      const { reading, bundleHash } = module.reading!
      const made = reading.dags.find(({ manifest }) => manifest.dag_id === dag_id)
      return importError(module.file, `dag_id '${dag_id}' of ${module.file} belongs to ${ownerFile}`, {
        place: sourcePlace(store.pathOf(bundleHash), made?.made_at ?? null),
        hint: `give one of the two another dag_id; ${module.file} stays as it was until then`,
      })
    })
    for (const [module, live] of lives) module.live = live
    const errors = files.map((file) => modules.get(file)!.error).filter((error) => error !== null)
    return [...errors, ...clashErrors]
  }

  function liveDagIds(file: string): string[] {
    return [...modules.values()]
      .filter((module) => file === '.' || isWithin(file, module.file))
      .flatMap(({ live }) => live.map((dag: LoadedDag) => dag.dag_id))
  }

  function logResult(result: LoadResult): void {
    const { commit_sha, modules: found, rebuilt, imported, duration_ms } = result
    const fields = { commit_sha, modules: found, rebuilt, imported, duration_ms: Math.round(duration_ms) }
    const level = rebuilt + imported > 0 ? 'info' : 'debug'
    log[level](
      { ...fields, dags: result.dags.length, import_errors: result.import_errors.length },
      'dags loaded',
    )
  }

  const passes = createNewestWins(pass)
  const stop = async () => {
    await passes.stop()
    imports.keepOnly(new Set())
    await readers.stop()
  }
  return { load: passes.run, stop, [Symbol.asyncDispose]: stop }
}

async function forEachConcurrently<Item>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values()
  const take = async () => {
    for (const item of left) await work(item)
  }
  // All are over before an error leaves: the next pass works on the same items.
  const takers = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, take))
  const failed = takers.find((taker) => taker.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
