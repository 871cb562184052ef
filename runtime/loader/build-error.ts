// What esbuild says about a module that it cannot bundle, as an import error with a hint. esbuild's errors have no
// codes, so the two that need a hint of ours are recognised by their text, and only for that.
import { readdirSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { basename, dirname, resolve } from 'node:path'
import { authoringNames } from '../authoring/authoring-global.ts'
import { didYouMean } from '../nearest.ts'
import type { BuildMessage } from './bundle.ts'
import { importError } from './import-error.ts'
import type { ImportError } from './load-result.ts'
import type { Packages } from './packages.ts'

/** More would fill the screen; the first is nearly always the cause of the rest. */
const maxMessages = 5

interface BuildErrorContext {
  root: string
  /** The Dag module, relative to the root. */
  file: string
  packages: Packages
}

export function buildError(messages: readonly BuildMessage[], context: BuildErrorContext): ImportError {
  const [first, ...others] = messages
  const location = first?.location ?? null
  const place = location && { file: location.file, line: location.line, column: location.column + 1 }
  const further = others.slice(0, maxMessages - 1).map((other) => {
    const at = other.location
    return at === null ? other.text : `${at.file}:${at.line}:${at.column + 1}: ${other.text}`
  })
  return importError(context.file, [first?.text ?? 'esbuild failed without a word', ...further].join('\n'), {
    place,
    hint: first === undefined ? null : hintFor(first, context),
  })
}

function hintFor({ text, location }: BuildMessage, { root, packages }: BuildErrorContext): string | null {
  const unresolved = /^Could not resolve "(.+)"/.exec(text)?.[1]
  if (unresolved !== undefined) {
    if (unresolved.startsWith('.')) {
      return missingFileHint(resolve(root, dirname(location?.file ?? ''), unresolved))
    }
    return missingPackageHint(unresolved, packages)
  }
  const name = /^No matching export in "branchline:branchline" for import "(.+)"/.exec(text)?.[1]
  if (name !== undefined) return `'branchline' has no '${name}'.${didYouMean(name, authoringNames)}`
  if (/^No loader is configured for "\.node" files/.test(text)) {
    return 'a native add-on cannot be part of a bundle: use a package without one, or call it as a command with bash()'
  }
  return null
}

function missingFileHint(path: string): string {
  try {
    return `there is no such file.${didYouMean(basename(path), readdirSync(dirname(path)))}`
  } catch {
    return `there is no folder '${basename(dirname(path))}' at that place`
  }
}

function missingPackageHint(specifier: string, packages: Packages): string {
  if (specifier.startsWith('branchline/')) return "import from 'branchline' itself: it has no parts"
  if (specifier.startsWith('node:'))
    return `Node has no such module.${didYouMean(specifier.slice(5), builtinModules)}`
  const parts = specifier.split('/')
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!
  return packages.missingHint(name)
}
