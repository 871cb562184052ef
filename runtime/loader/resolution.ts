// Whether an import would still lead to the same file. esbuild's metafile tells what an import led to, not what it
// looked at on the way, so that is said here, generously:
//
// - `./lib/rates.ts` from `dags/daily.ts` depends on the names in `dags/lib` that begin with `rates.` or are
//   `rates`, and, where `rates` is a folder, on its index files and package.json. So a file that is added or
//   removed rebuilds the modules that may mean it, and no others.
// - What a package name leads to depends, from the importing file's folder upward, on package.json, tsconfig.json
//   (and what it extends), jsconfig.json and the names and package manager's notes in node_modules; a change of
//   one of them rebuilds the modules below it. An alias (tsconfig `paths`, package.json `imports`) counts as
//   both: as a name, and as an import of the file that it led to.
//
// Not seen: a file that appears as an earlier choice of an alias that has several; a package within node_modules
// that was replaced by hand. Both are seen with the next change of an input.
import { hash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, parse, resolve } from 'node:path'
import type { BundleInput } from './bundle.ts'
import type { FileHashes } from './file-hashes.ts'

/** What the imports of one bundle depend on; paths as in its inputs. */
export interface ResolutionFacts {
  /** Folders of importing files. */
  folders: string[]
  /** Paths that imports mean, as far as they are spelt out. */
  targets: string[]
}

export function resolutionFacts(inputs: readonly BundleInput[]): ResolutionFacts {
  const folders = new Set<string>()
  const targets = new Set<string>()
  for (const { path, imports } of inputs) {
    if (imports.length === 0) continue
    folders.add(dirname(path))
    for (const { specifier, resolved } of imports) {
      if (specifier.startsWith('.') || specifier.startsWith('/')) targets.add(join(dirname(path), specifier))
      else if (!resolved.includes('node_modules/')) targets.add(resolved)
    }
  }
  return { folders: [...folders].sort(), targets: [...targets].sort() }
}

const configFiles = ['package.json', 'tsconfig.json', 'jsconfig.json']
const installNotes = ['.package-lock.json', '.modules.yaml', '.yarn-integrity']
const extendsPattern = /"extends"\s*:\s*"(\.[^"]+)"/

/** One pass's view of the tree: everything is looked at once. */
export class ResolutionView {
  readonly #root: string
  readonly #hashes: FileHashes
  readonly #names = new Map<string, readonly string[]>()
  readonly #configs = new Map<string, string>()
  readonly #targets = new Map<string, string>()

  constructor(root: string, hashes: FileHashes) {
    this.#root = root
    this.#hashes = hashes
  }

  /** Equal for equal answers; the place of the root does not matter. */
  signature({ folders, targets }: ResolutionFacts): string {
    const parts = [
      ...folders.map((folder) => this.#config(resolve(this.#root, folder))),
      ...targets.map((target) => this.#target(resolve(this.#root, target))),
    ]
    return hash('sha256', parts.join('\n'))
  }

  #target(path: string): string {
    return memo(this.#targets, path, () => {
      const [folder, stem] = [dirname(path), parse(path).name]
      const siblings = this.#namesIn(folder).filter((name) => name === stem || name.startsWith(`${stem}.`))
      const inside = this.#namesIn(path).filter(
        (name) => name === 'package.json' || name.startsWith('index.'),
      )
      const manifest = inside.includes('package.json')
        ? this.#hashes.get(join(path, 'package.json')).contentHash
        : ''
      return [basename(path), ...siblings, '/', ...inside, manifest].join(' ')
    })
  }

  #config(folder: string): string {
    return memo(this.#configs, folder, () => {
      const files = configFiles.map((name) => this.#configFile(join(folder, name)))
      const outer = dirname(folder) === folder ? '' : this.#config(dirname(folder))
      return hash('sha256', [outer, ...files, this.#packageNames(join(folder, 'node_modules'))].join('\n'))
    })
  }

  #configFile(path: string): string {
    const { contentHash } = this.#hashes.get(path)
    if (contentHash === null) return ''
    const base = path.endsWith('package.json') ? null : extendsPattern.exec(readFileSync(path, 'utf8'))
    return base === null ? contentHash : `${contentHash} ${this.#extended(resolve(dirname(path), base[1]!))}`
  }

  #extended(path: string): string {
    const file = path.endsWith('.json') ? path : `${path}.json`
    return (
      this.#configs.get(file) ??
      memo(this.#configs, file, () => {
        // Said before it is followed, so that a circle ends.
        this.#configs.set(file, '')
        return this.#configFile(file)
      })
    )
  }

  #packageNames(folder: string): string {
    const names = this.#namesIn(folder)
    if (names.length === 0) return ''
    const scoped = names
      .filter((name) => name.startsWith('@'))
      .flatMap((scope) => this.#namesIn(join(folder, scope)))
    const notes = installNotes.map((name) => this.#hashes.get(join(folder, name)).contentHash)
    return [...names, ...scoped, ...notes].join(' ')
  }

  #namesIn(folder: string): readonly string[] {
    return memo(this.#names, folder, () => {
      if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return []
      try {
        return readdirSync(folder).sort()
      } catch {
        // Not readable, or removed since: nothing is found there, by esbuild neither.
        return []
      }
    })
  }
}

function memo<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const value = make()
  map.set(key, value)
  return value
}
