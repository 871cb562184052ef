// The program itself, as a process.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { programPath } from '../../runtime/programs.ts'
import { eventually } from '../support/eventually.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { subscribe } from './live-events.ts'
import { proxyTo } from './tcp-proxy.ts'

interface WebProgram extends AsyncDisposable {
  child: ChildProcess
  lines: Record<string, unknown>[]
  /** Where it listens. */
  url(): Promise<string>
  exited: Promise<number | null>
}

async function startWeb(env: Record<string, string>): Promise<WebProgram> {
  const directory = await mkdtemp(join(tmpdir(), 'branchline-web-'))
  const child = spawn(process.execPath, [programPath('web')], {
    cwd: directory,
    env: { PATH: process.env.PATH, BRANCHLINE_WEB_PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const lines: Record<string, unknown>[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => lines.push(JSON.parse(line)))
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  return {
    child,
    lines,
    exited,
    url: () =>
      eventually(
        'the server listens',
        () => lines.find((line) => line.msg === 'listening')?.url as string | undefined,
      ),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
      await rm(directory, { recursive: true, force: true })
    },
  }
}

test('the program migrates the database, answers, and stops within a second of SIGTERM', async () => {
  await using database = await createTestDatabase()
  await using web = await startWeb({ BRANCHLINE_DATABASE_URL: database.url })
  const url = await web.url()
  await eventually('the database is migrated', async () => (await fetch(`${url}/api/v2/dags`)).ok)
  await using client = await subscribe(url)
  const begin = performance.now()
  web.child.kill('SIGTERM')
  expect(await web.exited).toBe(0)
  expect(performance.now() - begin).toBeLessThan(1_000)
  await client.ended
})

test('the program waits for Postgres and answers 503 until it is there', async () => {
  await using database = await createTestDatabase()
  await using proxy = await proxyTo(database.url)
  await proxy.cut()
  await using web = await startWeb({ BRANCHLINE_DATABASE_URL: proxy.url })
  const url = await web.url()
  const status = async (path = '/api/v2/dags') => (await fetch(`${url}${path}`)).status
  expect(await status()).toBe(503)
  expect([await status('/livez'), await status('/readyz')]).toEqual([200, 503])
  await proxy.mend()
  await eventually('an answer from Postgres', async () => (await status()) === 200)
  await eventually('it is ready', async () => (await status('/readyz')) === 200)
  await proxy.cut()
  expect(await status()).toBe(503)
  // All servers would leave the Service at once, and nobody would hear what is wrong.
  expect([await status('/livez'), await status('/readyz')]).toEqual([200, 200])
  await proxy.mend()
  expect(await status()).toBe(200)
})

test('the program says what is wrong with its configuration and ends', async () => {
  await using none = await startWeb({})
  expect(await none.exited).toBe(1)
  expect(none.lines.at(-1)).toMatchObject({ level: 'fatal', msg: expect.stringContaining('database_url') })
  await using wrong = await startWeb({ BRANCHLINE_WEB_PROT: '1' })
  expect(await wrong.exited).toBe(1)
  expect(wrong.lines.at(-1)?.msg).toContain('BRANCHLINE_WEB_PORT')
})
