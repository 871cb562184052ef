// The demonstration, tried as a new user would: start it, and copy what it prints.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type DevProcess, startDev } from '../../support/dev-process.ts'
import { git } from '../../support/git-server.ts'

const run = promisify(execFile)
const project = join(import.meta.dirname, '..', '..', '..')
let folder: string
let dataDir: string
let dev: DevProcess

/** A machine on which git was never used. */
const freshEnv = () => ({ HOME: folder, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' })
const start = () =>
  startDev(['--demo', '--data-dir', dataDir, '--web-port', '0'], { cwd: project, env: freshEnv() })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'branchline-demo-'))
  dataDir = join(folder, 'data')
  dev = start()
})

afterAll(async () => {
  await dev[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** The printed commands, in their order. */
const hints = () => [...dev.output().matchAll(/^ {2}((?:npm|sed) .*)$/gm)].map(([, command]) => command!)

/** As typed into a shell in the directory where it was started. */
async function copied(command: string): Promise<string> {
  const { stdout } = await run('sh', ['-c', command], {
    cwd: project,
    env: { PATH: process.env.PATH, ...freshEnv() },
  })
  return stdout
}

test('the demonstration runs: every example is a Dag, and those with a schedule have begun', async () => {
  await dev.said(/ctrl-C stops everything/)
  const examples = (await readdir(join(project, 'examples', 'dags'))).filter((name) => name.endsWith('.ts'))
  expect(dev.output()).toContain(`${examples.length} Dags:`)
  for (const name of examples) expect(dev.output()).toContain(`\n  ${name.replace('.ts', '')} `)
  for (const name of ['git-history', 'hello', 'hand-over'])
    await dev.said(new RegExp(`✓ ${name} \\S+ done in`))
})

test('the printed commands do what they say, word for word', async () => {
  const [trigger, logs, edit] = hints()
  expect(hints()).toHaveLength(3)
  expect(await copied(trigger!)).toMatch(/inventory manual__\S+ +✓ success/)
  expect(await copied(logs!)).toMatch(/Hello from scheduled__/)
  await copied(edit!)
  await dev.said(/[0-9a-f]{7} Greet otherwise is live: hello is version 2/)
  await copied(trigger!.replace('inventory', 'hello'))
  expect(await copied(logs!)).toMatch(/Bonjour from manual__/)
})

test('a second start keeps what was pushed, and makes the clone anew where it is gone', async () => {
  await dev.stop()
  await rm(join(dataDir, 'demo'), { recursive: true })
  dev = start()
  await dev.said(/at [0-9a-f]{7} Greet otherwise/)
  await dev.said(/ctrl-C stops everything/)
  expect(await git(join(dataDir, 'demo'), ['log', '-1', '--format=%s'])).toBe('Greet otherwise')
  await copied(hints()[2]!.replaceAll('Hello', 'Bonjour').replaceAll('/Bonjour/Bonjour/', '/Bonjour/Salut/'))
  await dev.said(/hello is version 3/)
  await copied(hints()[0]!.replace('inventory', 'hello'))
  expect(await copied(hints()[1]!)).toMatch(/Salut from manual__/)
})
