// Modules that exist only while esbuild bundles: 'branchline', and what stands for `import.meta` in each source
// file. Each name is a constant of its own that esbuild may drop, so a bundle has only what its author uses.
import { authoringNames } from '../authoring/authoring-global.ts'

/** `import.meta` property → the identifier that takes its place; an import of the same file declares it. */
export const sourcePlaceNames = {
  'import.meta.dirname': '__branchline_dirname',
  'import.meta.filename': '__branchline_filename',
  'import.meta.url': '__branchline_url',
} as const

/** Begins the specifiers of the modules that `sourcePlaceModule` writes; the file's path follows. */
export const sourcePlacePrefix = 'branchline-source-place:'

/** What `import … from 'branchline'` means in a bundle. */
export function authoringModule(): string {
  return authoringNames
    .map((name) => constant(name, `globalThis[Symbol.for('branchline.authoring')].${name}`))
    .join('\n')
}

/**
 * The file's place in the directory of the commit that runs, which whoever imports the bundle has set.
 * @param file relative to the source path; null for a file of an installed package, which keeps the bundle's own
 */
export function sourcePlaceModule(file: string | null): string {
  if (file === null) {
    // Through a variable: `import.meta.url` itself would be replaced here too.
    return `const meta = import.meta\n${Object.entries(sourcePlaceNames)
      .map(([property, name]) => constant(name, property.replace('import.', '')))
      .join('\n')}`
  }
  const filename = `globalThis[Symbol.for('branchline.source-path')] + ${JSON.stringify(`/${file}`)}`
  const folder = file.includes('/') ? `/${file.slice(0, file.lastIndexOf('/'))}` : ''
  return [
    constant('__branchline_filename', filename),
    constant(
      '__branchline_dirname',
      `globalThis[Symbol.for('branchline.source-path')] + ${JSON.stringify(folder)}`,
    ),
    constant('__branchline_url', `process.getBuiltinModule('node:url').pathToFileURL(${filename}).href`),
  ].join('\n')
}

const mentionsImportMeta = /\bimport\s*\.\s*meta\b/
const hasModuleSyntax = /^\s*(?:import|export)\b/m

/**
 * `text` with an import of its source place. It stands at the end, where imports are as good as at the beginning
 * and move no line. CommonJS, which may have the words in a string, stays as it is: an import would change what
 * it is.
 */
export function withSourcePlace(text: string, path: string): string | null {
  if (!mentionsImportMeta.test(text) || !hasModuleSyntax.test(text)) return null
  const names = Object.values(sourcePlaceNames).join(', ')
  return `${text}\nimport { ${names} } from ${JSON.stringify(sourcePlacePrefix + path)}\n`
}

function constant(name: string, expression: string): string {
  return `export const ${name} = /* @__PURE__ */ (() => ${expression})()`
}
