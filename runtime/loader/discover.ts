// Finds Dag modules: files below the dags folder whose text names the module 'branchline'. That is a cheap look
// that spares bundling every helper; a module whose Dags are made by a helper's function says the name in a
// comment or a type import. What names it and makes no Dag is no error, it is just no Dag module.
//
// Ignore files hold for the folder they stand in and all below it, as .gitignore does; the deeper one has the
// last word. Links are followed only where they stay within the source, and no directory is entered twice.
import { type Dirent, existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import createIgnore, { type Ignore } from 'ignore'
import { messageOf } from '../errors.ts'
import { didYouMean } from '../nearest.ts'
import type { FileHashes } from './file-hashes.ts'
import { importError } from './import-error.ts'
import type { ImportError } from './load-result.ts'
import { isWithin } from './source.ts'

export interface Discovery {
  /** Relative to the root, sorted. */
  files: string[]
  /** Folders that could not be read: what is below them is unknown, not gone. */
  errors: ImportError[]
}

interface DiscoverOptions {
  root: string
  /** Relative to the root. */
  dagsFolder: string
  /** Name of the ignore files. */
  ignoreFile: string
  hashes: FileHashes
}

interface IgnoreRules {
  directory: string
  rules: Ignore
}

const modulePattern = /\.m?[jt]s$/
const noModulePattern = /\.test\.m?[jt]s$|\.d\.m?ts$/

/** Looks through the dags folder as it is now. */
export async function discoverDagModules(options: DiscoverOptions): Promise<Discovery> {
  const { root, dagsFolder, ignoreFile, hashes } = options
  const files: string[] = []
  const errors: ImportError[] = []
  const entered = new Set<string>()
  const problem = checkDagsFolder(root, dagsFolder)
  if (problem !== null) return { files, errors: [problem] }

  const visitDirectory = async (directory: string, outerRules: readonly IgnoreRules[]): Promise<void> => {
    const realDirectory = realpathSync(directory)
    if (entered.has(realDirectory)) return
    entered.add(realDirectory)
    const entries = readdirSync(directory, { withFileTypes: true }).sort(byName)
    const ownRules = entries.some((entry) => entry.name === ignoreFile)
      ? [{ directory, rules: createIgnore().add(readFileSync(join(directory, ignoreFile), 'utf8')) }]
      : []
    const rules = [...outerRules, ...ownRules]
    for (const entry of entries) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
      const path = join(directory, entry.name)
      const kind = kindOf(entry, path, root)
      if (kind === 'other' || isIgnored(path, kind === 'directory', rules)) continue
      if (kind === 'directory') await enter(path, rules)
      else if (modulePattern.test(entry.name) && !noModulePattern.test(entry.name)) {
        if (hashes.get(path).mentionsBranchline) files.push(relative(root, path))
        await hashes.breathe()
      }
    }
  }
  const enter = async (directory: string, rules: readonly IgnoreRules[]): Promise<void> => {
    try {
      await visitDirectory(directory, rules)
    } catch (error) {
      const folder = relative(root, directory) || '.'
      errors.push(
        importError(folder, `folder ${folder} cannot be read: ${messageOf(error)}`, {
          hint: 'let the user that runs Branchline read it, or name it in the ignore file',
        }),
      )
    }
  }
  await enter(resolve(root, dagsFolder), [])
  return { files: files.sort(), errors }
}

function checkDagsFolder(root: string, dagsFolder: string): ImportError | null {
  const directory = resolve(root, dagsFolder)
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    const folders = (existsSync(root) ? readdirSync(root, { withFileTypes: true }) : [])
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
    return importError(dagsFolder, `the dags folder '${dagsFolder}' does not exist in the source`, {
      hint: `set dags_folder to the folder that has the Dag modules.${didYouMean(dagsFolder, folders)}`,
    })
  }
  if (isWithin(root, realpathSync(directory))) return null
  return importError(dagsFolder, `the dags folder '${dagsFolder}' leads out of the source`, {
    hint: 'set dags_folder to a folder of the repository',
  })
}

function kindOf(entry: Dirent, path: string, root: string): 'file' | 'directory' | 'other' {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'directory'
  if (!entry.isSymbolicLink()) return 'other'
  try {
    if (!isWithin(root, realpathSync(path))) return 'other'
    const stat = statSync(path)
    return stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other'
  } catch {
    // A link that leads nowhere, in a circle, or where this user may not look: the folder's other files count.
    return 'other'
  }
}

function isIgnored(path: string, isDirectory: boolean, rules: readonly IgnoreRules[]): boolean {
  let ignored = false
  for (const { directory, rules: own } of rules) {
    const result = own.test(`${relative(directory, path)}${isDirectory ? '/' : ''}`)
    if (result.ignored) ignored = true
    else if (result.unignored) ignored = false
  }
  return ignored
}

function byName(a: Dirent, b: Dirent): number {
  return a.name < b.name ? -1 : 1
}
