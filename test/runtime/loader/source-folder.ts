// A source for the loader to read: a folder for each 'commit' and the link that sync would publish, with a loader
// on it. Everything is below one temporary directory, which goes with it.
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createLoader, type Loader, type LoaderOptions } from '../../../runtime/loader/loader.ts'
import { createLogger } from '../../../runtime/log.ts'

export type Files = Record<string, string>

export interface SourceFolder extends AsyncDisposable {
  directory: string
  bundlesDir: string
  packagesDir: string
  /** Directory that is published now. */
  root: string
  /** Publishes a commit with these files; null takes one away that `base` (the last commit) had. */
  publish(files: Record<string, string | null>): string
  loader(options?: Partial<LoaderOptions>): Loader
}

/** Each commit's directory is new, as in sync: no file of it was seen before. */
export function createSourceFolder(): SourceFolder {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'branchline-loader-')))
  const [bundlesDir, packagesDir] = [join(directory, 'bundles'), join(directory, 'packages')]
  const loaders: Loader[] = []
  let files: Files = {}
  let commits = 0
  const folder: SourceFolder = {
    directory,
    bundlesDir,
    packagesDir,
    root: '',
    publish(changes) {
      files = Object.fromEntries(
        Object.entries({ ...files, ...changes }).filter(
          (entry): entry is [string, string] => entry[1] !== null,
        ),
      )
      folder.root = join(directory, '.worktrees', (++commits).toString(16).padStart(40, '0'))
      writeFiles(folder.root, files)
      symlinkSync(folder.root, join(directory, 'next'))
      renameSync(join(directory, 'next'), join(directory, 'link'))
      return folder.root
    },
    loader(options = {}) {
      const loader = createLoader({
        sourcePath: join(directory, 'link'),
        dagsFolder: 'dags',
        ignoreFile: '.branchlineignore',
        bundlesDir,
        packagesDir,
        allowInstallScripts: false,
        log: createLogger('loader', { level: 'silent' }),
        ...options,
      })
      loaders.push(loader)
      return loader
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(loaders.map((loader) => loader.stop()))
      rmSync(directory, { recursive: true, force: true })
    },
  }
  return folder
}

export function writeFiles(root: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

/** Text of a module with one Dag of one task; `lines` stand before it. */
export function dagModule(dagId: string, ...lines: string[]): string {
  return [
    "import { dag, task } from 'branchline'",
    ...lines,
    `export default dag('${dagId}', {}, () => {`,
    "  task('only', () => 1)",
    '})',
    '',
  ].join('\n')
}
