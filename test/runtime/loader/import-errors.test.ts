import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { expectGone } from './expect-gone.ts'
import { createSourceFolder, dagModule } from './source-folder.ts'

/** What a first pass says about one module beside a good one, which must load whatever the other does. */
async function errorOf(
  files: Record<string, string>,
  options: { importTimeoutMs?: number; memoryMb?: number } = {},
) {
  await using folder = createSourceFolder()
  folder.publish({ 'dags/good.ts': dagModule('good'), ...files })
  const result = await folder.loader(options).load()
  expect(result.dags.map(({ dag_id }) => dag_id)).toEqual(['good'])
  expect(result.import_errors.length).toBe(1)
  expect(result.failed_files).toEqual([result.import_errors[0]!.file])
  return result.import_errors[0]!
}

test('a syntax error is told with its place', async () => {
  expect(await errorOf({ 'dags/bad.ts': "import { dag } from 'branchline'\nconst x = ;\n" })).toMatchObject({
    file: 'dags/bad.ts',
    error_file: 'dags/bad.ts',
    line: 2,
    column: 11,
    message: 'Unexpected ";"',
  })
})

test('a syntax error in a helper is told with the place in the helper', async () => {
  expect(
    await errorOf({ 'dags/bad.ts': dagModule('bad', "import '../lib/h.ts'"), 'lib/h.ts': '\n\nfunction (' }),
  ).toMatchObject({ file: 'dags/bad.ts', error_file: 'lib/h.ts', line: 3 })
})

test('an import of a file that is not there names the nearest that is', async () => {
  expect(
    await errorOf({
      'dags/bad.ts': dagModule('bad', "import { x } from '../lib/helpr.ts'", 'console.log(x)'),
      'lib/helper.ts': 'export const x = 1',
    }),
  ).toMatchObject({
    line: 2,
    column: 19,
    message: 'Could not resolve "../lib/helpr.ts"',
    hint: "there is no such file. Did you mean 'helper.ts'?",
  })
})

test('a name that the authoring module does not have names the nearest that it has', async () => {
  expect(
    await errorOf({
      'dags/bad.ts': "import { dag, tsk } from 'branchline'\nexport default dag('x', {}, () => tsk)\n",
    }),
  ).toMatchObject({ line: 1, column: 15, hint: "'branchline' has no 'tsk'. Did you mean 'task'?" })
})

test('an error that is thrown is told with the line of the .ts file and a stack of such lines', async () => {
  const error = await errorOf({
    'dags/bad.ts': dagModule(
      'bad',
      "import { rates } from '../lib/rates.ts'",
      'const all: number = rates(3)',
      'all',
    ),
    'lib/rates.ts': [
      'interface Unused {',
      '  type: string',
      '}',
      'export function rates(n: number): never {',
      "  throw new TypeError('no rates for ' + n)",
      '}',
    ].join('\n'),
  })
  expect(error).toMatchObject({
    file: 'dags/bad.ts',
    error_file: 'lib/rates.ts',
    line: 5,
    column: 9,
    message: 'TypeError: no rates for 3',
  })
  expect(error.stack).toMatch(/lib\/rates\.ts:5:9/)
  expect(error.stack).toMatch(/dags\/bad\.ts:3:\d+/)
})

test('a Dag that cannot be is told with the place of the call', async () => {
  expect(
    await errorOf({
      'dags/bad.ts':
        "import { dag, task } from 'branchline'\nexport default dag('bad', {}, () => {\n  task('a b', () => 1)\n})\n",
    }),
  ).toMatchObject({
    error_file: 'dags/bad.ts',
    line: 3,
    column: 3,
    message: expect.stringContaining('"a b"'),
    hint: null,
  })
})

test('what is thrown need not be an error', async () => {
  expect(await errorOf({ 'dags/bad.ts': dagModule('bad', "throw 'just text'") })).toMatchObject({
    message: expect.stringContaining('just text'),
    line: null,
  })
})

test('a Dag that is made and not exported is told with the place where it is made', async () => {
  expect(
    await errorOf({
      'dags/bad.ts': "import { dag } from 'branchline'\n\nconst lost = dag('lost', {}, () => {})\nlost\n",
    }),
  ).toMatchObject({
    line: 3,
    message: "the module makes Dag 'lost' and does not export it",
    hint: expect.stringContaining('export it'),
  })
})

test('a module that imports another with Dags, and one that makes no Dag, are no errors', async () => {
  await using folder = createSourceFolder()
  folder.publish({
    'dags/a.ts': `${dagModule('a')}export const days = 3\n`,
    'dags/b.ts': dagModule('b', "import { days } from './a.ts'", 'console.log(days)'),
    'dags/factory.ts':
      "import { dag } from 'branchline'\nexport const make = (id: string) => dag(id, {}, () => {})\n",
    'dags/made.ts':
      "// A Dag of 'branchline'.\nimport { make } from './factory.ts'\nexport const made = make('made')\n",
  })
  const result = await folder.loader().load()
  expect(result.import_errors).toEqual([])
  expect(result.dags.map(({ dag_id, file }) => `${file} ${dag_id}`)).toEqual([
    'dags/a.ts a',
    'dags/b.ts b',
    'dags/made.ts made',
  ])
})

test('a module that never ends is ended with all that it started', async () => {
  await using folder = createSourceFolder()
  const pidFile = join(folder.directory, 'pids')
  folder.publish({
    'dags/a.ts': dagModule('a'),
    'dags/b_loop.ts': dagModule(
      'loop',
      "import { spawn } from 'node:child_process'",
      "import { writeFileSync } from 'node:fs'",
      "const child = spawn('/bin/sleep', ['1000'])",
      `writeFileSync(${JSON.stringify(pidFile)}, process.pid + ' ' + child.pid)`,
      'for (;;) {}',
    ),
    'dags/c.ts': dagModule('c'),
  })
  const loader = folder.loader({ importTimeoutMs: 700 })
  const result = await loader.load()
  expect(result.dags.map(({ dag_id }) => dag_id)).toEqual(['a', 'c'])
  expect(result.import_errors).toMatchObject([
    {
      file: 'dags/b_loop.ts',
      message: 'took longer than 0.7 s to import',
      hint: expect.stringContaining('task'),
    },
  ])
  await expectGone(readFileSync(pidFile, 'utf8').split(' ').map(Number))

  // The same bundle is not waited for again at once; another one is.
  const again = await loader.load()
  expect(again.duration_ms).toBeLessThan(1_000)
  expect(again).toMatchObject({
    imported: 0,
    import_errors: [{ message: 'took longer than 0.7 s to import' }],
  })
  folder.publish({ 'dags/b_loop.ts': dagModule('loop') })
  expect((await loader.load()).dags.map(({ dag_id }) => dag_id)).toEqual(['a', 'c', 'loop'])
})

test('a module that never ends is tried again when its time is over', async () => {
  await using folder = createSourceFolder()
  const marker = join(folder.directory, 'network-is-there')
  folder.publish({
    'dags/slow.ts': dagModule(
      'slow',
      "import { existsSync } from 'node:fs'",
      `while (!existsSync(${JSON.stringify(marker)})) {}`,
    ),
  })
  let nowMs = 0
  const loader = folder.loader({ importTimeoutMs: 500, clock: { now: () => nowMs } })
  expect((await loader.load()).import_errors.length).toBe(1)
  folder.publish({})
  writeFileSync(marker, '')
  expect((await loader.load()).import_errors.length).toBe(1)
  nowMs += 3_600_000
  expect((await loader.load()).import_errors).toEqual([])
})

test('a module that exits costs itself alone, with its exit code and the line', async () => {
  await using folder = createSourceFolder()
  folder.publish({
    ...Object.fromEntries([...'abcdef'].map((id) => [`dags/${id}.ts`, dagModule(id)])),
    'dags/c_exits.ts': dagModule('exits', 'process.exit(3)'),
    'dags/d_exits.ts': dagModule('exits0', 'process.exit()'),
    'dags/e_later.ts': dagModule(
      'later',
      "setTimeout(() => { throw new Error('late') })",
      'await new Promise(() => {})',
    ),
  })
  const result = await folder.loader().load()
  expect(result.dags.map(({ dag_id }) => dag_id)).toEqual([...'abcdef'])
  expect(result.import_errors).toMatchObject([
    {
      file: 'dags/c_exits.ts',
      message: 'ended the process with exit code 3 (process.exit) while being imported',
      line: 2,
    },
    { file: 'dags/d_exits.ts', message: expect.stringContaining('exit code 0') },
    { file: 'dags/e_later.ts', message: expect.stringContaining('late'), line: 2 },
  ])
})

test('what one module leaves running is not laid at the door of another', async () => {
  await using folder = createSourceFolder()
  folder.publish({
    'dags/a.ts': dagModule('a', 'setTimeout(() => process.exit(5))'),
    ...Object.fromEntries(
      [...'bcdefgh'].map((id) => [
        `dags/${id}.ts`,
        dagModule(id, "import { setTimeout as sleep } from 'node:timers/promises'", 'await sleep(20)'),
      ]),
    ),
  })
  const result = await folder.loader().load()
  expect(result.import_errors).toEqual([])
  expect(result.dags.length).toBe(8)
})

test('a module that eats memory, on the heap or beside it, is ended', async () => {
  const heap = dagModule(
    'bad',
    'const all: number[][] = []',
    'for (;;) all.push(new Array(10_000).fill(1.5))',
  )
  expect(await errorOf({ 'dags/bad.ts': heap }, { memoryMb: 64 })).toMatchObject({
    message: 'used more than 64 MB while being imported',
  })
  const buffers = dagModule(
    'bad',
    'const all: Buffer[] = []',
    'for (;;) all.push(Buffer.alloc(1024 ** 2, 1))',
  )
  expect(await errorOf({ 'dags/bad.ts': buffers }, { memoryMb: 64 })).toMatchObject({
    message: 'used more than 64 MB while being imported',
  })
})

test('what a module prints and writes to our descriptors does no harm', async () => {
  await using folder = createSourceFolder()
  folder.publish({
    'dags/a.ts': dagModule(
      'a',
      "import { writeSync } from 'node:fs'",
      "console.log('x'.repeat(1_000_000))",
      "console.error('{}')",
      'writeSync(4, \'not json\\n{"type":"read","id":99}\\n{}\\nnull\\n\')',
    ),
    'dags/b.ts': dagModule('b'),
    'dags/b_liar.ts': dagModule(
      'liar',
      "import { writeSync } from 'node:fs'",
      'for (let id = 0; id < 9; id++) {',
      '  const reading = { dags: [], unexported: [] }',
      "  for (const name of [id, String(id)]) writeSync(4, JSON.stringify({ type: 'read', id: name, reading }) + '\\n')",
      '}',
    ),
  })
  const result = await folder.loader().load()
  expect(result.import_errors).toEqual([])
  expect(result.dags.map(({ dag_id }) => dag_id)).toEqual(['a', 'b', 'liar'])
})

test('a module sees nothing of our environment, and works in the directory of its commit', async () => {
  process.env.BRANCHLINE_TEST_SECRET = 'secret'
  await using folder = createSourceFolder()
  folder.publish({
    'dags/a.ts': dagModule(
      'a',
      'if (Object.keys(process.env).length > 0) throw new Error(Object.keys(process.env).join())',
      "import { existsSync } from 'node:fs'",
      "if (!existsSync('dags/a.ts')) throw new Error(process.cwd())",
    ),
  })
  expect((await folder.loader().load()).import_errors).toEqual([])
  delete process.env.BRANCHLINE_TEST_SECRET
})

test('a module that fails keeps its last good Dags, and recovers', async () => {
  await using folder = createSourceFolder()
  folder.publish({ 'dags/a.ts': dagModule('a'), 'dags/b.ts': dagModule('b') })
  const loader = folder.loader()
  const good = await loader.load()
  for (const bad of [dagModule('a', 'const x = ;'), dagModule('a', "throw new Error('no')")]) {
    folder.publish({ 'dags/a.ts': bad })
    const result = await loader.load()
    expect(result.dags).toEqual(good.dags)
    expect(result.import_errors).toMatchObject([{ file: 'dags/a.ts', dag_ids: ['a'] }])
  }
  folder.publish({ 'dags/a.ts': dagModule('a') })
  const recovered = await loader.load()
  expect(recovered).toMatchObject({ import_errors: [], failed_files: [] })
  expect(recovered.dags).toEqual(good.dags)
})

test('two Dags of one module with the same dag_id are an error at the second or first of them', async () => {
  const error = await errorOf({
    'dags/bad.ts':
      "import { dag } from 'branchline'\nexport const a = dag('twice', {}, () => {})\nexport const b = dag('twice', {}, () => {})\n",
  })
  expect(error).toMatchObject({ line: 3, message: "two Dags of this module have the dag_id 'twice'" })
})

test('of two modules with the same dag_id the one that was live first keeps it', async () => {
  await using folder = createSourceFolder()
  folder.publish({ 'dags/b.ts': dagModule('x') })
  const loader = folder.loader()
  const first = await loader.load()
  folder.publish({ 'dags/a.ts': dagModule('x'), 'dags/c.ts': dagModule('c') })
  const second = await loader.load()
  expect(second.dags.map(({ dag_id, file }) => `${dag_id} ${file}`)).toEqual(['c dags/c.ts', 'x dags/b.ts'])
  expect(second.dags.at(-1)).toEqual(first.dags[0])
  expect(second.import_errors).toMatchObject([
    { file: 'dags/a.ts', line: 2, message: "dag_id 'x' of dags/a.ts belongs to dags/b.ts" },
  ])

  // A loader that knows nothing of the past goes by the files' names.
  const fresh = await folder.loader().load()
  expect(fresh.import_errors).toMatchObject([{ file: 'dags/b.ts' }])

  folder.publish({ 'dags/b.ts': null })
  const third = await loader.load()
  expect(third.import_errors).toEqual([])
  expect(third.dags.map(({ file }) => file)).toEqual(['dags/c.ts', 'dags/a.ts'])
})

test('a Dag moves from one module to another in one commit', async () => {
  await using folder = createSourceFolder()
  folder.publish({ 'dags/a.ts': dagModule('x'), 'dags/b.ts': dagModule('y') })
  const loader = folder.loader()
  await loader.load()
  folder.publish({ 'dags/a.ts': dagModule('y'), 'dags/b.ts': dagModule('x') })
  const result = await loader.load()
  expect(result.import_errors).toEqual([])
  expect(result.dags.map(({ dag_id, file }) => `${dag_id} ${file}`)).toEqual(['x dags/b.ts', 'y dags/a.ts'])
})

test('a module that wants the dag_id of a broken one has to wait', async () => {
  await using folder = createSourceFolder()
  folder.publish({ 'dags/a.ts': dagModule('x'), 'dags/b.ts': dagModule('y') })
  const loader = folder.loader()
  const first = await loader.load()
  folder.publish({ 'dags/a.ts': dagModule('z', 'const x = ;'), 'dags/b.ts': dagModule('x') })
  const second = await loader.load()
  expect(second.dags).toEqual(first.dags)
  expect(second.failed_files).toEqual(['dags/a.ts', 'dags/b.ts'])
  folder.publish({ 'dags/a.ts': dagModule('z') })
  const third = await loader.load()
  expect(third.dags.map(({ dag_id, file }) => `${dag_id} ${file}`)).toEqual(['x dags/b.ts', 'z dags/a.ts'])
})

test('a stopped loader leaves no process', async () => {
  await using folder = createSourceFolder()
  const pidFile = join(folder.directory, 'pid')
  folder.publish({
    'dags/a.ts': dagModule(
      'a',
      "import { writeFileSync } from 'node:fs'",
      `writeFileSync(${JSON.stringify(pidFile)}, String(process.pid))`,
      'for (;;) {}',
    ),
  })
  const loader = folder.loader()
  const pass = loader.load()
  const failed = expect(pass).rejects.toMatchObject({ name: 'AbortError' })
  await expect
    .poll(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '', { timeout: 20_000 })
    .toBe(true)
  await loader.stop()
  await failed
  await expectGone([Number(readFileSync(pidFile, 'utf8'))])
  await expect(loader.load()).rejects.toMatchObject({ name: 'AbortError' })
})

test('a module that takes long does not hold up the others of its push, and is live when it is done', async () => {
  await using folder = createSourceFolder()
  const marker = join(folder.directory, 'may-end')
  let wakes = 0
  const loader = folder.loader({ wake: () => wakes++ })
  folder.publish({
    'dags/a_slow.ts': dagModule(
      'slow',
      "import { existsSync } from 'node:fs'",
      `while (!existsSync(${JSON.stringify(marker)})) {}`,
    ),
    'dags/b.ts': dagModule('b'),
  })
  const first = await loader.load()
  expect(first.dags.map(({ dag_id }) => dag_id)).toEqual(['b'])
  expect(first).toMatchObject({
    failed_files: ['dags/a_slow.ts'],
    import_errors: [{ message: expect.stringContaining('takes longer than 3 s') }],
  })
  // A push meanwhile does not begin it anew, and goes by it.
  folder.publish({ 'dags/c.ts': dagModule('c') })
  expect((await loader.load()).dags.map(({ dag_id }) => dag_id)).toEqual(['b', 'c'])
  expect(wakes).toBe(0)
  writeFileSync(marker, '')
  await expect.poll(() => wakes, { timeout: 10_000 }).toBe(1)
  const last = await loader.load()
  expect(last).toMatchObject({ import_errors: [], failed_files: [] })
  expect(last.dags.map(({ dag_id }) => dag_id)).toEqual(['b', 'c', 'slow'])
})

test('a loader that is stopped starts no process for modules that waited for one', async () => {
  await using folder = createSourceFolder()
  const began = join(folder.directory, 'began')
  const endless = (dagId: string) =>
    dagModule(
      dagId,
      "import { writeFileSync } from 'node:fs'",
      `writeFileSync(${JSON.stringify(began)}, '')`,
      'for (;;) {}',
    )
  folder.publish({ 'dags/a.ts': endless('a'), 'dags/b.ts': endless('b'), 'dags/c.ts': endless('c') })
  const loader = folder.loader()
  const failed = expect(loader.load()).rejects.toMatchObject({ name: 'AbortError' })
  await eventually('the first import', () => existsSync(began))
  expect(readersOf(folder.bundlesDir)).toHaveLength(1)
  await loader.stop()
  await failed
  expect(readersOf(folder.bundlesDir)).toEqual([])
})

/** Living processes that import bundles of this folder. */
function readersOf(bundlesDir: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`NODE_COMPILE_CACHE=${bundlesDir}/`)
    } catch {
      return false
    }
  })
}

test('a module that replaces built-ins while it is imported spoils no other', async () => {
  await using folder = createSourceFolder()
  folder.publish({
    // Imported one after another by the same process, in this order or another.
    'dags/a.ts': dagModule('a'),
    'dags/b.ts': dagModule('b', 'Array.prototype.map = () => { throw new Error("replaced") }'),
    'dags/c.ts': dagModule('c', 'JSON.stringify = () => "{}"'),
    'dags/d.ts': dagModule('d', '[1].map((one) => one)'),
    'dags/e.ts': dagModule('e', '[1].map((one) => one)'),
  })
  const { dags, import_errors } = await folder.loader().load()
  expect(import_errors.filter(({ file }) => file !== 'dags/b.ts')).toEqual([])
  expect(dags.map(({ dag_id }) => dag_id)).toEqual(expect.arrayContaining(['a', 'd', 'e']))
})
