// `npm ci` in a directory of its own, and what of a repository it needs there: package.json, the lockfile, .npmrc,
// and packages that the lockfile finds in the repository itself. Folders (workspaces, `file:./folder`) are not
// installed: only their package.json is there, for npm's check, and imports of them lead into the commit.
import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { PackageInstallError } from '../errors.ts'
import { killProcessGroup } from '../process-group.ts'
import { isWithin } from './source.ts'

/** The parts of package-lock.json that are read here. */
export interface PackageLock {
  packages?: Record<string, { resolved?: string; link?: boolean; dev?: boolean }>
  /** Of npm 6 and older. */
  dependencies?: Record<string, unknown>
}

/** A registry may be slow and packages many; beyond this the install is taken for stuck. */
const installTimeoutMs = 10 * 60_000
/** Lines of npm's errors that are kept. The first say what failed; what follows repeats it. */
const maxErrorLines = 12

/** Packages that are folders of the repository: name → `./folder`. */
export function localPackages(lock: PackageLock): Record<string, string> {
  return Object.fromEntries(
    Object.entries(lock.packages ?? {})
      .filter(
        ([path, { link, resolved }]) =>
          link === true && resolved !== undefined && path.startsWith('node_modules/'),
      )
      .map(([path, { resolved }]) => [path.slice('node_modules/'.length), `./${resolved}`]),
  )
}

/** @throws PackageInstallError where the lockfile names a file that is not in the repository */
export function copyInstallFiles(root: string, lock: PackageLock, directory: string): void {
  const entries = Object.values(lock.packages ?? {})
  const tarballs = entries.flatMap(({ resolved }) =>
    resolved?.startsWith('file:') ? [resolved.slice(5)] : [],
  )
  const folders = entries.flatMap(({ resolved, link }) =>
    link && resolved ? [join(resolved, 'package.json')] : [],
  )
  for (const file of ['package.json', 'package-lock.json', ...tarballs, ...folders]) {
    const source = resolve(root, file)
    if (!isWithin(root, source) || !existsSync(source)) {
      throw new PackageInstallError(`package-lock.json names ${file}, which is not in the repository`)
    }
    mkdirSync(dirname(join(directory, file)), { recursive: true })
    copyFileSync(source, join(directory, file))
  }
  if (existsSync(join(root, '.npmrc'))) copyFileSync(join(root, '.npmrc'), join(directory, '.npmrc'))
}

interface NpmOptions {
  directory: string
  cacheDirectory: string
  allowInstallScripts: boolean
  env: Readonly<Record<string, string>>
  signal: AbortSignal
}

/**
 * Runs `npm ci` without development dependencies.
 * @throws PackageInstallError with npm's own words, and the signal's reason when it fires or has fired
 */
export async function runNpm(options: NpmOptions): Promise<void> {
  const { directory, cacheDirectory, allowInstallScripts, env, signal } = options
  // One that has fired tells no listener any more, and npm would hold up the pass that follows to its end.
  signal.throwIfAborted()
  const flags = ['--omit=dev', '--no-audit', '--no-fund', '--no-update-notifier', `--cache=${cacheDirectory}`]
  // The Dags that need no packages wait too: where the registry is away, that is to be known soon.
  const network = ['--fetch-retries=1', '--fetch-retry-mintimeout=1000', '--fetch-timeout=30000']
  const scripts = allowInstallScripts ? '--no-ignore-scripts' : '--ignore-scripts'
  const child = spawn('npm', ['ci', ...flags, ...network, scripts], {
    cwd: directory,
    env,
    // A group of its own, so that what npm started ends with it.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words += text
  })
  const kill = () => {
    if (child.pid !== undefined) killProcessGroup(child.pid)
  }
  const timer = setTimeout(kill, installTimeoutMs)
  signal.addEventListener('abort', kill)
  try {
    const ended = await new Promise<string | null>((done) => {
      child.once('error', (error) => done(`npm could not be started: ${error.message}`))
      child.once('close', (code, killSignal) =>
        done(code === 0 ? null : `npm ci ended with ${killSignal ?? `exit code ${code}`}`),
      )
    })
    signal.throwIfAborted()
    if (ended !== null) throw new PackageInstallError([ended, ...errorLines(words)].join('\n'))
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', kill)
  }
  // It may hold a token, and has done its work.
  rmSync(join(directory, '.npmrc'), { force: true })
}

function errorLines(words: string): string[] {
  return words
    .split('\n')
    .filter((line) => /^npm (?:error|ERR!)/.test(line))
    .map((line) => line.replace(/^npm (?:error|ERR!) ?/, '').trimEnd())
    .filter((line) => line !== '' && !/complete log of this run|debug-\d+\.log/.test(line))
    .slice(0, maxErrorLines)
}
