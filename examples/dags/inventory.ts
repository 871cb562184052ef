// An inventory of a directory tree with checksums, and which files are the same: by default of git's own programs.
// The work is shared out to four tasks that run at once, and gathered again: fan-out and fan-in in a loop.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { dag, task } from 'branchline'

const parts = 4

interface CheckedFile {
  path: string
  bytes: number
  /** null where the file may not be read. */
  sha256: string | null
}

export default dag(
  'inventory',
  {
    description: 'Checksums of a directory tree, and its duplicate files',
    // null: git's own programs, which every machine has that runs this.
    params: { directory: null },
    // No attempt may take longer, and a read that failed is tried once more.
    defaults: { executionTimeout: '5m', retries: 1, retryDelay: '2s' },
  },
  () => {
    const tree = task('list', async ({ params, log }) => {
      const directory = params.directory === null ? await gitPrograms() : String(params.directory)
      const entries = await readdir(directory, { recursive: true, withFileTypes: true })
      const files = entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
      log.info('listed', { directory, files: files.length })
      return { directory, files: files.sort() }
    })

    // An ordinary loop: what it makes are ordinary tasks, with the same types as any other.
    const checked = Array.from({ length: parts }, (_, part) =>
      task(`checksum-${part}`, { tree }, async ({ tree }, { signal, log }) => {
        const mine = tree.files.filter((_, index) => index % parts === part)
        const done: CheckedFile[] = []
        for (const path of mine) {
          signal.throwIfAborted()
          done.push(await check(path, signal))
        }
        log.info('checked', { files: done.length, bytes: sum(done) })
        return done
      }),
    )

    // Inputs are named; here by their position.
    task('report', Object.fromEntries(checked.entries()), (results, { log }) => {
      const files = Object.values(results).flat()
      const report = {
        files: files.length,
        bytes: sum(files),
        unreadable: files.filter((file) => file.sha256 === null).length,
        largest: files.toSorted((a, b) => b.bytes - a.bytes)[0] ?? null,
        duplicates: duplicatesAmong(files),
      }
      log.info('inventory made', { ...report, duplicates: report.duplicates.length })
      return report
    })
  },
)

async function gitPrograms(): Promise<string> {
  const { stdout } = await promisify(execFile)('git', ['--exec-path'])
  return stdout.trim()
}

async function check(path: string, signal: AbortSignal): Promise<CheckedFile> {
  const { size } = await stat(path)
  try {
    const hash = createHash('sha256')
    await pipeline(createReadStream(path), hash, { signal })
    return { path, bytes: size, sha256: hash.digest('hex') }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    return { path, bytes: size, sha256: null }
  }
}

/** Groups of files with the same content. */
function duplicatesAmong(files: readonly CheckedFile[]): string[][] {
  const readable = files.filter((file) => file.sha256 !== null)
  return [...Map.groupBy(readable, (file) => file.sha256).values()]
    .filter((same) => same.length > 1)
    .map((same) => same.map((file) => file.path))
}

function sum(files: readonly CheckedFile[]): number {
  return files.reduce((bytes, file) => bytes + file.bytes, 0)
}
