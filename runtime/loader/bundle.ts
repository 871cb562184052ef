// One Dag module and all that it imports → one file, by esbuild. Nothing else imports esbuild.
//
// The same content gives the same bytes wherever the source is: esbuild works relative to the root, and the path
// of an installed package, which lies elsewhere, is cut down to `node_modules/…`. A build of its own for each
// module takes 1.5 ms when eight are in flight; one build of 500 entry points, or a context that is kept, is no
// faster for what matters (one module changed) and holds up to 650 MB.
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isAbsolute, join, relative, resolve } from 'node:path'
import * as esbuild from 'esbuild'
import { isWithin } from './source.ts'
import {
  authoringModule,
  sourcePlaceModule,
  sourcePlaceNames,
  sourcePlacePrefix,
  withSourcePlace,
} from './virtual-modules.ts'

/** esbuild's process is ended after so long without a build: it holds 30 MB and more. A start costs 10 ms. */
const idleMs = 5_000

export interface BundleRequest {
  root: string
  /** Relative to the root. */
  file: string
  /** Directory whose `node_modules` serves what the source does not have itself; null: none. */
  packagesDir: string | null
  /** Package → directory relative to the root. */
  alias: Readonly<Record<string, string>>
}

/** A file that went into a bundle. */
export interface BundleInput {
  /** Relative to the root where it is within it, else absolute. */
  path: string
  imports: { specifier: string; resolved: string }[]
}

export interface Bundle {
  /** Of `code`. */
  hash: string
  /** An ES module with an inline source map whose sources are relative to the root. */
  code: string
  /** Without the files of `packagesDir`, which never change. */
  inputs: BundleInput[]
  /** Whether it asks for its place by import.meta, and so may read other files while it is imported. */
  usesSourcePlace: boolean
}

/** One of esbuild's errors. `line` counts from 1, `column` from 0. */
export interface BuildMessage {
  text: string
  location: { file: string; line: number; column: number } | null
}

let buildsInFlight = 0
let idleTimer: NodeJS.Timeout | undefined

/** @returns the bundle, or why there is none */
export async function bundle(request: BundleRequest): Promise<Bundle | { errors: BuildMessage[] }> {
  buildsInFlight++
  clearTimeout(idleTimer)
  try {
    const built = await build(request, false)
    // Few modules use import.meta, and looking into each file by a plugin would cost all of them a third more.
    return built.usesSourcePlace ? await build(request, true) : built
  } catch (error) {
    const failure = error as Partial<esbuild.BuildFailure>
    if (!Array.isArray(failure.errors)) throw error
    return { errors: failure.errors }
  } finally {
    buildsInFlight--
    if (buildsInFlight === 0) idleTimer = setTimeout(() => void esbuild.stop(), idleMs).unref()
  }
}

async function build(request: BundleRequest, replacesImportMeta: boolean): Promise<Bundle> {
  const { root, file, packagesDir, alias } = request
  const result = await esbuild.build({
    absWorkingDir: root,
    // Without './' a file might be taken for a package of that name.
    entryPoints: [`./${file}`],
    outfile: join(root, 'bundle.mjs'),
    write: false,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
    metafile: true,
    sourcemap: 'external',
    sourcesContent: false,
    define: sourcePlaceNames,
    alias: { ...alias },
    nodePaths: packagesDir === null ? [] : [join(packagesDir, 'node_modules')],
    plugins: [authoringPlugin, ...(replacesImportMeta ? [sourcePlacePlugin(root)] : [])],
  })
  const [map, code] = ['.map', '.mjs'].map(
    (end) => result.outputFiles.find(({ path }) => path.endsWith(end))!.text,
  )
  const text = finish(code!, map!, packagesDir === null ? null : `${relative(root, packagesDir)}/`)
  return {
    hash: hash('sha256', text),
    code: text,
    inputs: readInputs(result.metafile, root, packagesDir),
    usesSourcePlace: Object.values(sourcePlaceNames).some((name) => code!.includes(name)),
  }
}

/** Bundled CommonJS calls esbuild's `__require` for built-in modules; it needs a `require` in its scope. */
const requireHelper = 'var __require = '
const requireDeclaration =
  "import { createRequire as __branchline_createRequire } from 'node:module'; const require = __branchline_createRequire(import.meta.url); "

function finish(code: string, map: string, packagesPrefix: string | null): string {
  const own = (text: string) => (packagesPrefix === null ? text : text.replaceAll(packagesPrefix, ''))
  // The helper stands before all that the source map speaks of, and no line is added.
  const complete = own(code).replace(`\n${requireHelper}`, `\n${requireDeclaration}${requireHelper}`)
  const inlineMap = Buffer.from(own(map)).toString('base64')
  return `${complete}//# sourceMappingURL=data:application/json;base64,${inlineMap}\n`
}

function readInputs(metafile: esbuild.Metafile, root: string, packagesDir: string | null): BundleInput[] {
  const isOwn = (path: string) =>
    !/^branchline[\w-]*:/.test(path) && (packagesDir === null || !isWithin(packagesDir, resolve(root, path)))
  const place = (path: string) => (path.startsWith('../') ? resolve(root, path) : path)
  return Object.entries(metafile.inputs)
    .filter(([path]) => isOwn(path))
    .map(([path, { imports }]) => ({
      path: place(path),
      imports: imports
        .filter(
          ({ external, path: resolved, original }) => !external && original !== undefined && isOwn(resolved),
        )
        .map(({ path: resolved, original }) => ({ specifier: original!, resolved: place(resolved) })),
    }))
}

const authoringPlugin: esbuild.Plugin = {
  name: 'branchline',
  setup(build) {
    build.onResolve({ filter: /^branchline$/ }, () => ({ path: 'branchline', namespace: 'branchline' }))
    build.onLoad({ filter: /.*/, namespace: 'branchline' }, () => ({
      contents: authoringModule(),
      loader: 'js',
    }))
  },
}

function sourcePlacePlugin(root: string): esbuild.Plugin {
  return {
    name: 'branchline-source-place',
    setup(build) {
      build.onLoad({ filter: /\.m?[jt]s$/, namespace: 'file' }, ({ path }) => {
        const contents = withSourcePlace(readFileSync(path, 'utf8'), path)
        return contents === null ? null : { contents, loader: path.endsWith('ts') ? 'ts' : 'js' }
      })
      build.onResolve({ filter: new RegExp(`^${sourcePlacePrefix}`) }, ({ path }) => {
        const file = relative(root, path.slice(sourcePlacePrefix.length))
        // The namespace's path ends in comments and maps, so it must not be absolute.
        return { path: file, namespace: sourcePlacePrefix.slice(0, -1) }
      })
      build.onLoad({ filter: /.*/, namespace: sourcePlacePrefix.slice(0, -1) }, ({ path }) => ({
        contents: sourcePlaceModule(path.startsWith('../') || isAbsolute(path) ? null : path),
        loader: 'js',
      }))
    },
  }
}
