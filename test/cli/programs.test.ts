// The programs as subcommands, and `db migrate`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { version } from '../../runtime/version.ts'
import { eventually } from '../support/eventually.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { cli, startCli } from './cli-process.ts'

const directory = mkdtempSync(join(tmpdir(), 'branchline-programs-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test('sync gets its arguments as they are, and ends with its own exit codes', async () => {
  expect(await cli(['sync', '--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  const unknown = await cli(['sync', '--no-such-flag'])
  expect(unknown.code).toBe(2)
  expect(unknown.stderr).toContain('no-such-flag')
  expect(unknown.stderr).not.toContain('branchline: ')
})

test('db migrate brings a database up to date, once', async () => {
  await using database = await createTestDatabase()
  const env = { BRANCHLINE_DATABASE_URL: database.url }
  const first = await cli(['db', 'migrate'], { env, cwd: directory })
  expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^applied 0001_init/) })
  const second = await cli(['db', 'migrate', '--json'], { env, cwd: directory })
  expect(JSON.parse(second.stdout).applied).toEqual([])
})

test('db migrate without a database, or with one that is away, says what to do', async () => {
  expect(await cli(['db', 'migrate'], { cwd: directory })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('BRANCHLINE_DATABASE_URL'),
  })
  expect(
    await cli(['db', 'migrate', '--database-url', 'postgres://u@127.0.0.1:1/d'], { cwd: directory }),
  ).toMatchObject({ code: 4 })
})

test('web serves in the process of the command, and ends by a signal to it', async () => {
  await using database = await createTestDatabase()
  const env = { BRANCHLINE_DATABASE_URL: database.url, BRANCHLINE_WEB_PORT: '0' }
  await using web = startCli(['web'], { env, cwd: directory })
  const url = await eventually('it listens', () => /"url":"([^"]+)"/.exec(web.stderr())?.[1])
  await eventually('it answers', async () => (await cli(['dags', 'list'], { url })).code === 0)
  web.child.kill('SIGTERM')
  expect((await web.result).code).toBe(0)
})
