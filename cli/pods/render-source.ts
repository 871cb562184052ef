// The Dags that are rendered: those of a directory, loaded as a scheduler loads them, or the same directory as another
// commit has it.
import { existsSync, statSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import type { Config } from '../../runtime/config.ts'
import { GitError, NotFoundError } from '../../runtime/errors.ts'
import type { LoadedDag, LoadResult } from '../../runtime/loader/load-result.ts'
import { createLoader } from '../../runtime/loader/loader.ts'
import { createLogger } from '../../runtime/log.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import { git } from '../dev/git-command.ts'

export interface RenderSource {
  /** With the Dags, as `source_path`. */
  root: string
  /** null: no Git checkout, or one without a commit. */
  commitSha: string | null
  /** There is more in it than its commit has. */
  isDirty: boolean
  /** URL of `origin`. */
  origin: string | null
}

/**
 * @param path a Dag module; anything else: the source is that of the working directory
 * @param output where the files go, which are no change of the source
 */
export async function findSource(config: Config, path: string, output = '-'): Promise<RenderSource> {
  const isFile = existsSync(path) && statSync(path).isFile()
  const folder = isFile ? dirname(resolve(path)) : process.cwd()
  const top = await git(folder, ['rev-parse', '--show-toplevel']).catch(() => null)
  const root = await realpath(config.source_path ?? top ?? nearestPackage(folder) ?? folder)
  const commitSha = await git(root, ['rev-parse', '--verify', 'HEAD']).catch(() => null)
  return {
    root,
    commitSha,
    isDirty:
      commitSha !== null &&
      (await git(root, ['status', '--porcelain', '--', ...besides(root, output)])) !== '',
    origin: await git(root, ['remote', 'get-url', 'origin']).catch(() => null),
  }
}

/** Paths for Git: all but the output. */
function besides(root: string, output: string): string[] {
  const path = output === '-' ? '' : relative(root, resolve(output))
  return path === '' || path.startsWith('..') ? ['.'] : ['.', `:(exclude,literal)${path}`]
}

function nearestPackage(folder: string): string | null {
  if (existsSync(join(folder, 'package.json'))) return folder
  return dirname(folder) === folder ? null : nearestPackage(dirname(folder))
}

/** All Dags of a source, and what could not be loaded. */
export async function loadSource(root: string, config: Config, signal: AbortSignal): Promise<LoadResult> {
  const bundlesDir = await mkdtemp(join(tmpdir(), 'branchline-render-'))
  const loader = createLoader({
    sourcePath: root,
    dagsFolder: config.dags_folder,
    ignoreFile: config.dags_ignore_file,
    bundlesDir,
    packagesDir: join(config.data_dir, 'packages'),
    importTimeoutMs: config.loader_import_timeout,
    memoryMb: config.loader_memory_mb,
    allowInstallScripts: config.allow_install_scripts,
    log: createLogger('loader', { level: 'silent' }),
  })
  try {
    return await loader.load(signal)
  } finally {
    await loader.stop()
    await rm(bundlesDir, { recursive: true, force: true })
  }
}

/**
 * The Dags that an argument means: a dag_id, or the file of a Dag module.
 * @throws NotFoundError with the nearest, or with why a module could not be loaded
 */
export function chooseDags(loaded: LoadResult, wanted: string): LoadedDag[] {
  const file = existsSync(wanted) ? relative(loaded.source_path, resolve(wanted)) : wanted
  const chosen = loaded.dags.filter(({ dag_id, file: its }) => dag_id === wanted || its === file)
  if (chosen.length > 0) return chosen
  const textOf = ({ error_file, line, message }: LoadResult['import_errors'][number]) =>
    `${error_file}${line === null ? '' : `:${line}`}: ${message}`
  const own = loaded.import_errors.filter(({ error_file }) => error_file === file)
  if (own.length > 0) {
    throw new NotFoundError(`${file} could not be loaded:\n${own.map(textOf).join('\n')}`, {
      details: { file },
    })
  }
  const failed = loaded.import_errors.map(textOf)
  const ids = loaded.dags.map(({ dag_id }) => dag_id)
  const there = ids.length === 0 ? 'It has no Dags.' : `It has ${ids.join(', ')}.`
  throw new NotFoundError(
    [
      `there is no Dag '${wanted}' in ${loaded.source_path}.${didYouMean(wanted, ids)} ${there}`,
      ...(failed.length === 0 ? [] : ['Not loaded:', ...failed]),
    ].join('\n'),
    { details: { dag_id: wanted, dag_ids: ids } },
  )
}

/**
 * Runs `work` in the directory of another commit, which is gone afterwards.
 * @throws GitError where there is no such commit
 */
export async function atCommit<Result>(
  root: string,
  ref: string,
  work: (root: string, commitSha: string) => Promise<Result>,
): Promise<Result> {
  const commitSha = await git(root, ['rev-parse', '--verify', `${ref}^{commit}`]).catch((cause: unknown) => {
    throw new GitError(`there is no commit '${ref}' in ${root}`, { cause })
  })
  const directory = await mkdtemp(join(tmpdir(), 'branchline-commit-'))
  const worktree = join(directory, 'source')
  try {
    await git(root, ['worktree', 'add', '--detach', '--quiet', worktree, commitSha])
    return await work(worktree, commitSha)
  } finally {
    await git(root, ['worktree', 'remove', '--force', worktree]).catch(() => {})
    await rm(directory, { recursive: true, force: true })
  }
}
