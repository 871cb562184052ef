// One `branchline dev` on a real repository, through its life: what it says, what a push changes, what is killed.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { isRunning } from '../../../runtime/process-start.ts'
import { type DevProcess, processesOf, startDev, taskSaid } from '../../support/dev-process.ts'
import { createTestRepository, type TestRepository } from '../../support/git-server.ts'

let folder: string
let dataDir: string
let repository: TestRepository
let dev: DevProcess
let apiUrl: string

/** A Dag that says a word; its first scheduled run is made at once. */
const talker = (word: string) => `
  import { dag, task } from 'branchline'
  export default dag('talker', { schedule: { every: '1h' } }, () => {
    task('say', ({ log }) => log.info('${word}'))
  })`

/** A Dag whose command outlives everything that does not end it; it says its process id. */
const sleeper = `
  import { bash, dag } from 'branchline'
  export default dag('sleeper', {}, () => {
    bash('sleep', 'echo $$; exec sleep 1000', { retries: 1, retryDelay: '1h' })
  })`

const start = () =>
  startDev(['--repo', repository.path, '--data-dir', dataDir, '--web-port', '0'], { cwd: folder })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'branchline-dev-'))
  dataDir = join(folder, 'data')
  repository = await createTestRepository({ 'talker.ts': talker('one'), 'sleeper.ts': sleeper })
  dev = start()
})

afterAll(async () => {
  await dev[Symbol.asyncDispose]()
  await repository.close()
  await rm(folder, { recursive: true, force: true })
})

async function post(path: string, body: object): Promise<void> {
  const response = await fetch(`${apiUrl}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`)
}

const trigger = (dagId: string) => post(`/dags/${dagId}/dagRuns`, {})

/** The process of a part that was started last. */
async function pidOf(program: string): Promise<number> {
  const lines = (await readFile(join(dataDir, 'dev.log'), 'utf8')).split('\n').filter((line) => line !== '')
  const started = lines
    .map((line) => JSON.parse(line) as { program?: string; pid?: number; msg: string })
    .findLast((line) => line.program === program && /^program (re)?started$/.test(line.msg))
  return started!.pid!
}

test('it says what it follows, which Dags there are, and what happens', async () => {
  const [, url] = await dev.said(/API\s+(http:\S+)/)
  apiUrl = url!
  await dev.said(/ctrl-C stops everything/)
  expect(dev.output()).toContain(`follows     ${repository.path}`)
  expect(dev.output()).toMatch(/2 Dags:\n {2}sleeper +when triggered *\n {2}talker +every 1h/)
  await dev.said(/✓ talker scheduled__\S+ done in/)
  await taskSaid({ dataDir, dagId: 'talker', taskId: 'say', msg: 'one' })
})

test('a push changes what runs', async () => {
  const commit = await repository.commit({ 'talker.ts': talker('two') })
  await dev.said(new RegExp(`${commit.slice(0, 7)} change is live: talker is version 2`))
  await trigger('talker')
  await taskSaid({ dataDir, dagId: 'talker', taskId: 'say', msg: 'two' })
})

test('a module that does not load is told with its place, and when it is fixed', async () => {
  await repository.commit({ 'broken.ts': `import { dag } from 'branchline'\n\nexport default dag(` })
  await dev.said(/✗ import error: broken\.ts:3:\d+: /)
  await repository.commit({ 'broken.ts': null })
  await dev.said(/✓ import error fixed: broken\.ts/)
})

test('a second dev on the same data directory is refused', async () => {
  const { code, output } = await start().ended
  expect(output).toContain(`another 'branchline dev' (process ${dev.child.pid}) works on ${dataDir}`)
  expect(code).toBe(5)
})

test('a port that another program has is an error that names it and the flag', async () => {
  const { port } = new URL(apiUrl)
  const other = startDev(['--demo', '--data-dir', join(folder, 'other'), '--web-port', port])
  const { code, output } = await other.ended
  expect(output).toContain(`port ${port} on 127.0.0.1 is in use by another program`)
  expect(output).toContain('--web-port')
  expect(code).toBe(2)
})

test('a repository without that branch is an error in the words of git', async () => {
  const args = ['--repo', repository.path, '--ref', 'nope', '--data-dir', join(folder, 'other')]
  const { code, output } = await startDev([...args, '--web-port', '0']).ended
  expect(output).toMatch(/sync does not start: .*\n.*couldn't find remote ref nope\nCheck --ref/)
  expect(output.match(/couldn't find/g)).toHaveLength(1)
  expect(code).toBe(1)
})

test('every part that is killed comes back, and pushes and runs go on', async () => {
  const from = dev.output().length
  for (const program of ['sync', 'postgres', 'web', 'scheduler']) {
    const pid = await pidOf(program)
    process.kill(pid, 'SIGKILL')
    await vi.waitFor(async () => expect(await pidOf(program)).not.toBe(pid), { timeout: 20_000 })
  }
  await dev.said(/scheduler ended|program=scheduler/, from)
  await repository.commit({ 'talker.ts': talker('three') })
  await dev.said(/talker is version 3/)
  await vi.waitFor(() => trigger('talker'), { timeout: 20_000 })
  await taskSaid({ dataDir, dagId: 'talker', taskId: 'say', msg: 'three' })
})

test.runIf(process.platform === 'linux')('nothing outlives a dev that is killed, whatever runs', async () => {
  await trigger('sleeper')
  await vi.waitFor(() => expect(processesOf(dataDir).length).toBeGreaterThan(4), { timeout: 20_000 })
  await dev.said(/● sleeper \S+ started/)
  dev.child.kill('SIGKILL')
  await vi.waitFor(() => expect(processesOf(dataDir)).toEqual([]), { timeout: 10_000, interval: 100 })
})

test('the next start goes on, and ctrl-C ends it with a task that runs', async () => {
  if (isRunning(dev.child.pid!)) dev.child.kill('SIGKILL')
  dev = start()
  const [, url] = await dev.said(/API\s+(http:\S+)/)
  apiUrl = url!
  await dev.said(/ctrl-C stops everything/)
  await trigger('sleeper')
  await dev.said(/● sleeper \S+ started/)
  expect(await dev.stop()).toBeLessThan(7_000)
  expect((await dev.ended).code).toBe(0)
  if (process.platform === 'linux') expect(processesOf(dataDir)).toEqual([])
})
