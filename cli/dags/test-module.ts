// Imports a Dag module into this process, as the task runner would: bundled, with `branchline` taken from here, and
// its place in the source as its own. Stack traces name the user's files, by their full paths.
import { existsSync, realpathSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { setSourceMapsSupport } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { installAuthoring } from '../../runtime/authoring/authoring-global.ts'
import type { Dag } from '../../runtime/authoring/dag.ts'
import { dagsOf } from '../../runtime/authoring/dags-of.ts'
import { outcomeOf } from '../../runtime/authoring/outcome.ts'
import { DagDefinitionError, NotFoundError } from '../../runtime/errors.ts'
import { buildError } from '../../runtime/loader/build-error.ts'
import { bundle } from '../../runtime/loader/bundle.ts'
import { withoutOwnFrames } from './own-frames.ts'

export type TestableDag = Dag

/** Where bundles read the directory of their source when they are imported. */
const sourcePathKey = Symbol.for('branchline.source-path')

/**
 * The Dags that the module exports, and the directory that stands for the run's source: the repository's top, or the
 * folder of the nearest package.json, or the file's own.
 * @throws NotFoundError where there is no such file
 * @throws DagDefinitionError where it cannot be bundled or throws when it is imported
 */
export async function loadTestModule(file: string): Promise<{ dags: Dag[]; sourcePath: string }> {
  const path = existing(resolve(file))
  const sourcePath = sourceRoot(dirname(path))
  const code = await bundled(sourcePath, relative(sourcePath, path))
  installAuthoring()
  Object.assign(globalThis, { [sourcePathKey]: sourcePath })
  setSourceMapsSupport(true, { nodeModules: true, generatedCode: true })
  const directory = await mkdtemp(join(tmpdir(), 'branchline-dags-test-'))
  try {
    const bundlePath = join(directory, 'bundle.mjs')
    await writeFile(bundlePath, code)
    return { dags: dagsOf((await import(pathToFileURL(bundlePath).href)) as object), sourcePath }
  } catch (thrown) {
    const { name, message, stack } = withoutOwnFrames(outcomeOf(thrown).error)
    throw new DagDefinitionError(`${file} cannot be imported: ${stack ?? `${name}: ${message}`}`, {
      cause: thrown,
    })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function existing(path: string): string {
  if (existsSync(path)) return realpathSync(path)
  throw new NotFoundError(`there is no file ${path}`, { details: { file: path } })
}

function sourceRoot(folder: string): string {
  return nearestWith('.git', folder) ?? nearestWith('package.json', folder) ?? folder
}

function nearestWith(name: string, folder: string): string | undefined {
  if (existsSync(join(folder, name))) return folder
  return dirname(folder) === folder ? undefined : nearestWith(name, dirname(folder))
}

async function bundled(root: string, file: string): Promise<string> {
  const result = await bundle({ root, file, packagesDir: null, alias: {} })
  if ('code' in result) return withAbsoluteSources(result.code, root)
  const missingHint = (name: string) => `it is not installed here: npm install ${name}, in ${root}`
  const packages = { key: 'own', directory: null, alias: {}, error: null, missingHint }
  const { error_file, line, column, message, hint } = buildError(result.errors, { root, file, packages })
  const place = [join(root, error_file), line, column].filter((part) => part !== null).join(':')
  throw new DagDefinitionError(`${place}: ${message}${hint === null ? '' : `\nhint: ${hint}`}`)
}

const mapPattern = /(\/\/# sourceMappingURL=data:application\/json;base64,)([\w+/=]+)\s*$/

/** A bundle's map names its sources from their root; here it lies elsewhere, for a moment. */
function withAbsoluteSources(code: string, root: string): string {
  return code.replace(mapPattern, (_whole, head: string, encoded: string) => {
    const map = JSON.parse(Buffer.from(encoded, 'base64').toString()) as { sources: string[] }
    map.sources = map.sources.map((source) => pathToFileURL(resolve(root, source)).href)
    return `${head}${Buffer.from(JSON.stringify(map)).toString('base64')}\n`
  })
}
