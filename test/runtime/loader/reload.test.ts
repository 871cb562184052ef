import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { installAuthoring } from '../../../runtime/authoring/authoring-global.ts'
import type { LoadResult } from '../../../runtime/loader/load-result.ts'
import { createSourceFolder, dagModule, writeFiles } from './source-folder.ts'

const dagIds = (result: LoadResult) => result.dags.map(({ dag_id }) => dag_id)
const versionOf = (result: LoadResult, dagId: string) =>
  result.dags.find(({ dag_id }) => dag_id === dagId)!.version_hash
const changedBetween = (before: LoadResult, after: LoadResult) =>
  dagIds(after).filter((dagId) => versionOf(before, dagId) !== versionOf(after, dagId))

const usesHelper = (dagId: string) => `import { dag, task } from 'branchline'
import { rate } from '../lib/rate.ts'
export default dag('${dagId}', {}, () => { task('only', () => rate(1)) })
`
const files = {
  'dags/a.ts': usesHelper('a'),
  'dags/b.ts': usesHelper('b'),
  'dags/c.ts': dagModule('c'),
  'lib/rate.ts': 'export const rate = (amount: number): number => amount * 2\n',
}

test('a first pass loads each Dag with its file, bundle, manifest and commit', async () => {
  await using folder = createSourceFolder()
  const root = folder.publish(files)
  const result = await folder.loader().load()
  expect(result).toMatchObject({
    commit_sha: '0000000000000000000000000000000000000001',
    source_path: root,
    import_errors: [],
    failed_files: [],
    modules: 3,
    rebuilt: 3,
    imported: 3,
  })
  expect(dagIds(result)).toEqual(['a', 'b', 'c'])
  const [a] = result.dags
  expect(a!.file).toBe('dags/a.ts')
  expect(a!.manifest.tasks.map(({ task_id }) => task_id)).toEqual(['only'])
  expect(a!.bundle_path).toBe(join(folder.bundlesDir, `${a!.bundle_hash}.mjs`))
  expect(existsSync(a!.bundle_path)).toBe(true)
})

test('a commit that changes no Dag makes no new version and builds nothing', async () => {
  await using folder = createSourceFolder()
  folder.publish(files)
  const loader = folder.loader()
  const first = await loader.load()
  folder.publish({ 'README.md': 'changed', 'lib/unused.ts': 'export {}' })
  const second = await loader.load()
  expect(second).toMatchObject({
    rebuilt: 0,
    imported: 0,
    commit_sha: '0000000000000000000000000000000000000002',
  })
  expect(changedBetween(first, second)).toEqual([])
})

test('a helper that changes makes a new version of each Dag that uses it, and of no other', async () => {
  await using folder = createSourceFolder()
  folder.publish(files)
  const loader = folder.loader()
  const first = await loader.load()
  folder.publish({ 'lib/rate.ts': 'export const rate = (amount: number): number => amount * 3\n' })
  const second = await loader.load()
  expect(second).toMatchObject({ rebuilt: 2, imported: 2 })
  expect(changedBetween(first, second)).toEqual(['a', 'b'])
})

test('a file that takes an import over makes a new version of the Dags that import it', async () => {
  await using folder = createSourceFolder()
  folder.publish({ ...files, 'dags/a.ts': usesHelper('a').replace('rate.ts', 'rate') })
  const loader = folder.loader()
  const first = await loader.load()
  // esbuild looks for .tsx before .ts.
  folder.publish({ 'lib/rate.tsx': 'export const rate = (amount: number): number => amount * 4\n' })
  expect(changedBetween(first, await loader.load())).toEqual(['a'])
})

test('a tsconfig that maps an import elsewhere makes a new version of the Dags that use it', async () => {
  await using folder = createSourceFolder()
  const config = (target: string) =>
    JSON.stringify({ compilerOptions: { paths: { '#rate': [`./lib/${target}.ts`] } } })
  folder.publish({
    'dags/a.ts': usesHelper('a').replace('../lib/rate.ts', '#rate'),
    'lib/rate.ts': 'export const rate = (amount: number): number => amount * 2\n',
    'lib/other.ts': 'export const rate = (amount: number): number => amount * 5\n',
    'tsconfig.base.json': config('rate'),
    'tsconfig.json': JSON.stringify({ extends: './tsconfig.base.json' }),
  })
  const loader = folder.loader()
  const first = await loader.load()
  folder.publish({ 'tsconfig.base.json': config('other') })
  expect(changedBetween(first, await loader.load())).toEqual(['a'])
})

test('a Dag whose module is removed is gone, and a module that is added is there', async () => {
  await using folder = createSourceFolder()
  folder.publish(files)
  const loader = folder.loader()
  await loader.load()
  folder.publish({ 'dags/a.ts': null, 'dags/d.ts': dagModule('d') })
  expect(dagIds(await loader.load())).toEqual(['b', 'c', 'd'])
})

test('an edit in a plain directory is seen, however soon it follows', async () => {
  await using folder = createSourceFolder()
  const root = join(folder.directory, 'plain')
  writeFiles(root, files)
  const loader = folder.loader({ sourcePath: root })
  let last = await loader.load()
  expect(last.commit_sha).toBe(null)
  for (const factor of [3, 4, 5, 6]) {
    writeFileSync(
      join(root, 'lib/rate.ts'),
      `export const rate = (amount: number): number => amount * ${factor}\n`,
    )
    const next = await loader.load()
    expect(changedBetween(last, next)).toEqual(['a', 'b'])
    last = next
  }
})

test('the same content in another directory gives the same bundle', async () => {
  await using folder = createSourceFolder()
  const root = folder.publish({
    ...files,
    'dags/place.ts': dagModule('place', 'console.log(import.meta.dirname, import.meta.url)'),
  })
  const copy = join(folder.directory, 'some', 'where', 'else')
  mkdirSync(copy, { recursive: true })
  cpSync(root, copy, { recursive: true })
  const here = await folder.loader().load()
  const there = await folder.loader({ sourcePath: copy, bundlesDir: join(folder.directory, 'other') }).load()
  expect(there.import_errors).toEqual([])
  expect(there.dags.map(({ bundle_hash }) => bundle_hash)).toEqual(
    here.dags.map(({ bundle_hash }) => bundle_hash),
  )
  expect(there.dags.map(({ version_hash }) => version_hash)).toEqual(here.dags.map((dag) => dag.version_hash))
})

test('a bundle has no code of ours, and its source map names the files of the repository', async () => {
  await using folder = createSourceFolder()
  folder.publish(files)
  const [a] = (await folder.loader().load()).dags
  const code = readFileSync(a!.bundle_path, 'utf8')
  expect(code).not.toContain('DagBuilder')
  expect(code).not.toContain('.bash')
  expect(code).not.toContain(folder.directory)
  const map = JSON.parse(Buffer.from(/base64,(.*)/.exec(code)![1]!, 'base64').toString())
  expect(map.sources).toContain('dags/a.ts')
  expect(map.sources).toContain('lib/rate.ts')
})

test('import.meta in a bundle means the source file in the directory of the commit', async () => {
  await using folder = createSourceFolder()
  folder.publish({
    'dags/deep/place.ts': [
      "import { dag, task } from 'branchline'",
      "import { here } from '../../lib/here.ts'",
      'export const places = [import.meta.filename, import.meta.dirname, import.meta.url, here]',
      "export default dag('place', {}, () => { task('only', () => here) })",
    ].join('\n'),
    'lib/here.ts': "const text = 'import.meta.url'\nexport const here = import.meta.dirname + text\n",
  })
  const result = await folder.loader().load()
  expect(result.import_errors).toEqual([])
  installAuthoring()
  Object.assign(globalThis, { [Symbol.for('branchline.source-path')]: '/commit' })
  const { places } = await import(/* @vite-ignore */ pathToFileURL(result.dags[0]!.bundle_path).href)
  expect(places).toEqual([
    '/commit/dags/deep/place.ts',
    '/commit/dags/deep',
    'file:///commit/dags/deep/place.ts',
    '/commit/libimport.meta.url',
  ])
})

test('Dags made from a data file beside the module are read again for each commit', async () => {
  await using folder = createSourceFolder()
  folder.publish({
    'dags/regions.ts': `import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dag, task } from 'branchline'
const regions = readFileSync(join(import.meta.dirname, 'regions.txt'), 'utf8').trim().split(' ')
export const dags = [regions.map((region) => dag(region, {}, () => { task('only', () => region) }))]
`,
    'dags/regions.txt': 'north south',
  })
  const loader = folder.loader()
  expect(dagIds(await loader.load())).toEqual(['north', 'south'])
  folder.publish({ 'dags/regions.txt': 'north south west' })
  expect(await loader.load()).toMatchObject({ rebuilt: 0, imported: 1 })
  expect(dagIds(await loader.load())).toEqual(['north', 'south', 'west'])
})

test('after a restart nothing is imported that is known, and a damaged file is not believed', async () => {
  await using folder = createSourceFolder()
  folder.publish(files)
  const first = await folder.loader().load()
  const second = await folder.loader().load()
  expect(second).toMatchObject({ rebuilt: 3, imported: 0 })
  expect(second.dags).toEqual(first.dags)
  const [a, b, c] = first.dags
  writeFileSync(join(folder.bundlesDir, `${a!.bundle_hash}.json`), '{"format":1,"dags":[{}],"unexported":[]}')
  writeFileSync(join(folder.bundlesDir, `${b!.bundle_hash}.json`), '')
  writeFileSync(c!.bundle_path, '')
  const third = await folder.loader().load()
  expect(third).toMatchObject({ imported: 2, import_errors: [] })
  expect(third.dags).toEqual(first.dags)
  expect(readFileSync(c!.bundle_path, 'utf8')).toContain('dag("c"')
})

test('a call during a pass gets, with the first caller, what is there at that moment', async () => {
  await using folder = createSourceFolder()
  folder.publish(files)
  const loader = folder.loader()
  const early = loader.load()
  folder.publish({ 'dags/d.ts': dagModule('d') })
  const late = loader.load()
  expect(dagIds(await late)).toEqual(['a', 'b', 'c', 'd'])
  expect(await early).toBe(await late)
})

test('a caller that gives up is told so, and the loader goes on for others', async () => {
  await using folder = createSourceFolder()
  folder.publish(files)
  const loader = folder.loader()
  const controller = new AbortController()
  const given = loader.load(controller.signal)
  const kept = loader.load()
  controller.abort(new Error('enough'))
  await expect(given).rejects.toThrow('enough')
  expect(dagIds(await kept)).toEqual(['a', 'b', 'c'])
})

test('a source that does not exist yet is an error that says so', async () => {
  await using folder = createSourceFolder()
  await expect(folder.loader().load()).rejects.toMatchObject({ code: 'NOT_FOUND' })
  folder.publish(files)
  const loader = folder.loader()
  await loader.load()
  rmSync(folder.root, { recursive: true })
  await expect(loader.load()).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('a commit whose directory is removed during a pass makes no errors: the published one is read', async () => {
  await using folder = createSourceFolder()
  const many = Object.fromEntries([...Array(200).keys()].map((n) => [`dags/d${n}.ts`, dagModule(`d${n}`)]))
  const old = folder.publish(many)
  const pass = folder.loader().load()
  const bundles = () => (existsSync(folder.bundlesDir) ? readdirSync(folder.bundlesDir).length : 0)
  await expect.poll(bundles, { interval: 5, timeout: 20_000 }).toBeGreaterThan(5)
  folder.publish({})
  rmSync(old, { recursive: true })
  const result = await pass
  expect(result).toMatchObject({ source_path: folder.root, import_errors: [], modules: 200 })
  expect(result.dags.length).toBe(200)
})
