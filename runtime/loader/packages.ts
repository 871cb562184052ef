// Where a Dag's packages come from. The repository's own node_modules, if it has one; else what its
// package-lock.json names, installed once for each content of package.json and lockfile and shared by all
// commits that have that content. A failed install is an import error of package.json; Dags without packages
// load all the same.
import { hash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import { importError } from './import-error.ts'
import { installOnce } from './install-once.ts'
import type { ImportError } from './load-result.ts'
import { copyInstallFiles, localPackages, type PackageLock, runNpm } from './npm.ts'

/** What one source has in the way of packages. */
export interface Packages {
  /** Changes where imports of packages may lead elsewhere. */
  key: string
  /** Directory whose `node_modules` holds them; null where the source has its own, or needs none. */
  directory: string | null
  /** Packages that are folders of the repository (workspaces, `file:`): name → folder, relative to the root. */
  alias: Readonly<Record<string, string>>
  error: ImportError | null
  /** What to do about a package that was not found. */
  missingHint(name: string): string
}

export interface PackagesOptions {
  packagesDir: string
  allowInstallScripts: boolean
  /** Environment of npm. */
  npmEnv: Readonly<Record<string, string>>
  clock: Clock
  log: Logger
}

interface PackageJson {
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  devDependencies?: Record<string, string>
}

/** Smaller: each push waits again for a registry that is away. Larger: its Dags stay broken for longer. */
const retryFailedInstallMs = 60_000
const foreignLockfiles = ['pnpm-lock.yaml', 'yarn.lock', 'bun.lock']

/** Prepares sources one after another; remembers for a while which installs failed. */
export function createPackages(options: PackagesOptions) {
  const { packagesDir, allowInstallScripts, npmEnv, clock, log } = options
  const failures = new Map<string, { atMs: number; error: ImportError }>()

  async function installed(
    root: string,
    key: string,
    lock: PackageLock,
    signal: AbortSignal,
  ): Promise<ImportError | null> {
    const directory = join(packagesDir, key)
    if (existsSync(directory)) return null
    const failure = failures.get(key)
    if (failure !== undefined && clock.now() - failure.atMs < retryFailedInstallMs) return failure.error
    log.info({ packages: key }, 'installing packages')
    const startMs = clock.now()
    try {
      await installOnce(directory, signal, async (temporaryDirectory) => {
        copyInstallFiles(root, lock, temporaryDirectory)
        await runNpm({
          directory: temporaryDirectory,
          cacheDirectory: join(packagesDir, '.npm-cache'),
          allowInstallScripts,
          env: npmEnv,
          signal,
        })
      })
    } catch (thrown) {
      signal.throwIfAborted()
      const error = importError('package.json', messageOf(thrown), {
        hint: 'run npm ci in a fresh clone to see the same, then commit package.json and package-lock.json; Dags that need no packages load meanwhile',
      })
      failures.set(key, { atMs: clock.now(), error })
      log.warn({ packages: key, err: thrown }, 'packages were not installed')
      return error
    }
    failures.delete(key)
    log.info({ packages: key, duration_ms: clock.now() - startMs }, 'packages installed')
    return null
  }

  return {
    /**
     * Sees to it that the packages of the source in `root` are there.
     * @throws the signal's reason when it fires
     */
    async prepare(root: string, signal: AbortSignal): Promise<Packages> {
      if (existsSync(join(root, 'node_modules'))) return ownPackages()
      const manifestText = readText(join(root, 'package.json'))
      if (manifestText === null) return withoutPackages(noPackageJsonHint)
      const lockText = readText(join(root, 'package-lock.json'))
      if (lockText === null) return withoutPackages(noLockfileHint(root))
      const parsed = parse(manifestText, lockText)
      if ('file' in parsed) return { ...withoutPackages(failedHint), error: parsed }
      const { manifest, lock } = parsed
      const missingHint = (name: string) => notListedHint(name, manifest)
      const alias = localPackages(lock)
      if (!hasRuntimePackages(lock)) return { ...withoutPackages(missingHint), alias }
      // An add-on is built for one platform, and scripts may change what is there.
      const parts = [manifestText, lockText, process.platform, process.arch, String(allowInstallScripts)]
      const key = hash('sha256', parts.join('\0'))
      const error = await installed(root, key, lock, signal)
      return error === null
        ? { key, directory: join(packagesDir, key), alias, error, missingHint }
        : { key: `failed ${key}`, directory: null, alias, error, missingHint: failedHint }
    },
  }
}

function parse(
  manifestText: string,
  lockText: string,
): { manifest: PackageJson; lock: PackageLock } | ImportError {
  let file = 'package.json'
  try {
    const manifest = JSON.parse(manifestText) as PackageJson
    file = 'package-lock.json'
    const lock = JSON.parse(lockText) as PackageLock
    return { manifest, lock }
  } catch (error) {
    return importError(file, `${file} is not JSON: ${messageOf(error)}`, {
      hint: 'run npm install and commit it',
    })
  }
}

function hasRuntimePackages(lock: PackageLock): boolean {
  // Lockfiles of npm 6 and older have no `packages`.
  if (lock.packages === undefined) return Object.keys(lock.dependencies ?? {}).length > 0
  return Object.entries(lock.packages).some(
    ([path, entry]) => path.includes('node_modules/') && entry.dev !== true && entry.link !== true,
  )
}

function ownPackages(): Packages {
  return {
    ...withoutPackages(
      (name) => `the source has a node_modules of its own, which lacks '${name}': npm install ${name}`,
    ),
    key: 'own',
  }
}

function withoutPackages(missingHint: (name: string) => string): Packages {
  return { key: 'none', directory: null, alias: {}, error: null, missingHint }
}

const failedHint = () => 'the packages could not be installed: see the import error of package.json'

const noPackageJsonHint = (name: string) =>
  `run npm install ${name} at the top of the repository, and commit package.json and package-lock.json`

function noLockfileHint(root: string): (name: string) => string {
  const foreign = foreignLockfiles.find((file) => existsSync(join(root, file)))
  return (name) =>
    foreign === undefined
      ? `package.json has no package-lock.json beside it, so nothing is installed: run npm install ${name} and commit it`
      : `${foreign} is not supported: commit a package-lock.json (npm install --package-lock-only), or serve a directory with its node_modules`
}

function notListedHint(name: string, manifest: PackageJson): string {
  if (name in { ...manifest.dependencies, ...manifest.optionalDependencies }) {
    return `'${name}' is in package.json, but not as this import needs it: check the path, and that package-lock.json is up to date (npm install)`
  }
  if (name in { ...manifest.devDependencies }) {
    return `'${name}' is among the devDependencies, which are not installed: move it to dependencies (npm install ${name})`
  }
  return `'${name}' is not in package.json: npm install ${name}, and commit package.json and package-lock.json`
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
