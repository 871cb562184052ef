import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testDag } from 'branchline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import gitHistory from '../../examples/dags/git-history.ts'
import handOver from '../../examples/dags/hand-over.ts'
import hello from '../../examples/dags/hello.ts'
import inventory from '../../examples/dags/inventory.ts'
import machine from '../../examples/dags/machine.ts'
import ordersReport from '../../examples/dags/orders-report.ts'
import { isDag } from '../../runtime/authoring/dag.ts'
import { createTestRepository } from '../support/git-server.ts'

const examples = join(import.meta.dirname, '..', '..', 'examples', 'dags')
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'branchline-examples-'))
})

afterEach(() => rm(directory, { recursive: true, force: true }))

test('every example has one Dag, of the name of its module, with a description', async () => {
  const modules = (await readdir(examples)).filter((name) => name.endsWith('.ts'))
  const dags = await Promise.all(
    modules.map(async (name) => ({ name, dag: (await import(join(examples, name))).default as unknown })),
  )
  expect(modules.length).toBeGreaterThan(0)
  for (const { name, dag } of dags) {
    if (!isDag(dag)) throw new Error(`${name} exports no Dag`)
    expect(`${dag.dagId}.ts`).toBe(name)
    expect(dag.manifest.description).not.toBeNull()
  }
})

test('hello greets, and hands the greeting on to a function and to a command', async () => {
  const { state, tasks } = await testDag(hello)
  expect(state).toBe('success')
  expect(tasks.greet!.result).toMatchObject({ text: 'Hello from test' })
  expect(tasks.count!.result).toEqual({ letters: 15, year: String(new Date().getUTCFullYear()) })
  expect(tasks.echo!.lines).toContainEqual(
    expect.objectContaining({
      stream: 'stdout',
      msg: expect.stringMatching(/bash was told: .*Hello from test/),
    }),
  )
})

test('git-history counts commits by author, file and weekday', async () => {
  await using repository = await createTestRepository({ 'a.txt': '1', 'b.txt': '1' })
  await repository.commit({ 'a.txt': '2' })
  const { state, tasks } = await testDag(gitHistory, { params: { repository: repository.path } })
  expect(state).toBe('success')
  expect(tasks.report!.result).toMatchObject({
    commits: 2,
    newest: 'change',
    busiest_author: { name: 'Test', commits: 2 },
    most_changed_files: [
      { name: 'a.txt', commits: 2 },
      { name: 'b.txt', commits: 1 },
    ],
  })
})

test('git-history fails at once where there is no repository', async () => {
  const { state, tasks } = await testDag(gitHistory, { params: { repository: directory } })
  expect(state).toBe('failed')
  expect(tasks.commits).toMatchObject({ state: 'failed', tries: 1, error: { name: 'TaskFailError' } })
  expect(tasks.report!.state).toBe('upstream_failed')
})

test('inventory finds files of the same content', async () => {
  await writeFile(join(directory, 'one'), 'same')
  await writeFile(join(directory, 'two'), 'same')
  await writeFile(join(directory, 'three'), 'another')
  const { state, tasks } = await testDag(inventory, { params: { directory } })
  expect(state).toBe('success')
  expect(tasks.report!.result).toMatchObject({
    files: 3,
    bytes: 15,
    unreadable: 0,
    largest: { path: join(directory, 'three') },
    duplicates: [[join(directory, 'one'), join(directory, 'two')]],
  })
})

test("inventory takes git's own programs by default", async () => {
  const { tasks } = await testDag(inventory, {
    results: Object.fromEntries([0, 1, 2, 3].map((part) => [`checksum-${part}`, []])),
  })
  expect((tasks.list!.result as { files: string[] }).files.length).toBeGreaterThan(10)
})

test('orders-report reads the file that lies beside it, and skips the alert', async () => {
  const { state, tasks } = await testDag(ordersReport)
  expect(state).toBe('success')
  const regions = ['north', 'south', 'east', 'west'].map(
    (name) => tasks[`by-region.${name}`]!.result as number,
  )
  const total = regions.reduce((sum, revenue) => sum + revenue, 0)
  expect(tasks.report!.result).toContain(`Total: ${total.toFixed(2)}`)
  expect(tasks.alert!.state).toBe('skipped')
})

test('orders-report alerts above the limit of the run', async () => {
  const { tasks } = await testDag(ordersReport, { params: { alertAbove: 1 } })
  expect((tasks.alert!.result as string[]).length).toBe(4)
  expect(tasks.alert!.lines[0]).toMatchObject({ level: 'warn' })
})

test('orders-report does not try again where the file has other columns', async () => {
  const file = join(directory, 'orders.csv')
  await writeFile(file, 'a,b\n1,2\n')
  const { tasks } = await testDag(ordersReport, { params: { file } })
  expect(tasks.read).toMatchObject({ state: 'failed', tries: 1 })
})

test('machine runs its commands, and skips what is not installed', async () => {
  const { state, tasks } = await testDag(machine, { sourcePath: examples })
  expect(state).toBe('success')
  expect(tasks.system!.lines.map(({ msg }) => msg)).toContain(examples)
  expect(tasks.files!.lines[0]!.msg.trim()).toBe('6')
  const memory = [tasks['look.memory']!.state, tasks['look.memory-macos']!.state]
  expect(memory.sort()).toEqual(['skipped', 'success'])
})

test('hand-over receives what was delivered', async () => {
  const { state, tasks } = await testDag(handOver)
  expect(state).toBe('success')
  expect(tasks.receive!.result).toEqual({ words: ['three', 'two', 'one'], tries: 1 })
})

test('hand-over retries while nothing is delivered, and then fails', async () => {
  const { state, tasks } = await testDag(handOver, { results: { deliver: undefined } })
  expect(state).toBe('failed')
  expect(tasks.receive).toMatchObject({ state: 'failed', tries: 6 })
  expect(tasks.receive!.error!.message).toContain('ENOENT')
})
