// Two lots of rendered files, compared by git: a unified diff for each file that differs.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { GitError } from '../../runtime/errors.ts'
import type { RenderedFile } from './render-files.ts'

const run = promisify(execFile)
/** Of all differences; Node's own limit, 1 MiB, is less than a Dag of some hundred pods. */
const maxDiffBytes = 256 * 1024 * 1024

/** @returns '' where nothing differs */
export async function diffFiles(
  before: readonly RenderedFile[],
  after: readonly RenderedFile[],
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'branchline-diff-'))
  try {
    await writeAll(join(directory, 'before'), before)
    await writeAll(join(directory, 'after'), after)
    return await gitDiff(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function writeAll(folder: string, files: readonly RenderedFile[]): Promise<void> {
  await mkdir(folder)
  for (const { name, text } of files) await writeFile(join(folder, name), text)
}

/** Its exit code 1 says that something differs. */
async function gitDiff(cwd: string): Promise<string> {
  const options = ['--no-index', '--no-color', '--no-ext-diff', '--src-prefix=', '--dst-prefix=']
  try {
    await run('git', ['diff', ...options, 'before', 'after'], { cwd, maxBuffer: maxDiffBytes })
    return ''
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string }
    if (code === 1 && stdout !== undefined) return stdout
    throw new GitError(`git diff failed: ${stderr?.trim() || String(code)}`, { cause: error })
  }
}
