import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../cli/dev/embedded-postgres.ts'
import { installedBinaries, postgresBinaries } from '../../../cli/dev/postgres-binaries.ts'
import { postgresUser } from '../../../cli/dev/postgres-user.ts'
import { readPostmasterFile, stopPostmaster } from '../../../cli/dev/postmaster.ts'
import { createLogger } from '../../../runtime/log.ts'
import { isRunning } from '../../../runtime/process-start.ts'

const log = createLogger('test', { level: 'silent' })
const asRoot = process.getuid?.() === 0
// One for the whole file, since a first start takes a second or two, mostly to sync its files. mkdtemp makes it
// with mode 0700: under root, Postgres' own user cannot traverse it.
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'branchline-embedded-'))
})

afterEach(() => stopServerOf(directory))

afterAll(() => rm(directory, { recursive: true, force: true }))

async function stopServerOf(place: string): Promise<void> {
  const file = await readPostmasterFile(join(place, 'data'))
  if (file !== undefined && file.pid !== process.pid) await stopPostmaster(file.pid)
}

/** A directory for one test. */
async function ownDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'branchline-embedded-'))
  return {
    path,
    async [Symbol.asyncDispose]() {
      await stopServerOf(path)
      await rm(path, { recursive: true, force: true })
    },
  }
}

const start = (options: { port?: number; socketDirectory?: string } = {}) =>
  startEmbeddedPostgres({ directory, log, ...options })

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

/** Starts the server in a process of its own, and kills that process. Returns the server's process id. */
async function startInKilledParent(): Promise<number> {
  const module = new URL('../../../cli/dev/embedded-postgres.ts', import.meta.url).href
  const logModule = new URL('../../../runtime/log.ts', import.meta.url).href
  const parent = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { startEmbeddedPostgres } = await import('${module}')
       const { createLogger } = await import('${logModule}')
       const server = await startEmbeddedPostgres({ directory: process.argv[1], log: createLogger('parent') })
       console.log(server.pid)
       setInterval(() => {}, 1_000)`,
      directory,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  parent.kill('SIGKILL')
  await once(parent, 'exit')
  return Number(line.toString())
}

test('what is committed is there after a stop and a start, on the same port', async () => {
  const first = await start()
  await query(first.url, 'create table kept_over_stop as select 42 as value')
  await first.stop()
  expect(isRunning(first.pid)).toBe(false)
  const second = await start()
  expect(second.url).toBe(first.url)
  expect(await query(second.url, 'select value from kept_over_stop')).toEqual([{ value: 42 }])
  await second.stop()
})

test('a server that lost its parent is adopted, and can be stopped', async () => {
  const pid = await startInKilledParent()
  expect(isRunning(pid)).toBe(true)
  const server = await start()
  expect(server.pid).toBe(pid)
  expect(await query(server.url, 'show fsync')).toEqual([{ fsync: 'on' }])
  await server.stop()
  expect(isRunning(pid)).toBe(false)
  expect(await server.exited).toBe('it ended')
})

test('a running server that would be started differently now is replaced', async () => {
  const first = await start()
  const port = await unusedPort()
  const second = await start({ port })
  expect(second.pid).not.toBe(first.pid)
  expect(isRunning(first.pid)).toBe(false)
  expect(new URL(second.url).port).toBe(String(port))
  await second.stop()
})

test('a server that hangs is replaced', async () => {
  const first = await start()
  process.kill(first.pid, 'SIGSTOP')
  const second = await start()
  expect(second.pid).not.toBe(first.pid)
  expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }])
  await second.stop()
})

test('a killed server says that it ended, and the next start finds what was committed', async () => {
  const first = await start()
  await query(first.url, 'create table kept_over_kill as select 42 as value')
  process.kill(first.pid, 'SIGKILL')
  expect(await first.exited).toBe('it ended with SIGKILL')
  const second = await start()
  expect(await query(second.url, 'select value from kept_over_kill')).toEqual([{ value: 42 }])
  await second.stop()
})

test('a stale postmaster.pid whose process id belongs to another program does not stop the start', async () => {
  const first = await start()
  const pidFile = join(directory, 'data', 'postmaster.pid')
  const content = await readFile(pidFile, 'utf8')
  await first.stop()
  await writeFile(pidFile, content.replace(/^\d+/, String(process.pid)))
  const second = await start()
  expect(second.pid).not.toBe(process.pid)
  await second.stop()
})

test('a first start that was killed midway is made anew', async () => {
  await using own = await ownDirectory()
  await mkdir(join(own.path, 'data.new'))
  await writeFile(join(own.path, 'data.new', 'PG_VERSION'), 'half')
  const server = await startEmbeddedPostgres({ directory: own.path, log })
  expect(await query(server.url, 'select current_database() as name')).toEqual([{ name: 'branchline' }])
  await server.stop()
})

test('a kept port that another program took is replaced; a port that was asked for is refused', async () => {
  const first = await start()
  await first.stop()
  const taken = Number(new URL(first.url).port)
  await using _holder = await listenOn(taken)
  const second = await start()
  expect(new URL(second.url).port).not.toBe(String(taken))
  expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }])
  await second.stop()
  await expect(start({ port: taken })).rejects.toThrow(`port ${taken} for the embedded Postgres is in use`)
})

test('a port file that was damaged is made anew', async () => {
  await using own = await ownDirectory()
  await writeFile(join(own.path, 'port'), 'garbage\n')
  const server = await startEmbeddedPostgres({ directory: own.path, log })
  const { port } = new URL(server.url)
  expect(await readFile(join(own.path, 'port'), 'utf8')).toBe(`${port}\n`)
  await server.stop()
})

test('a data directory of another version is refused with both versions and a remedy', async () => {
  await using own = await ownDirectory()
  await mkdir(join(own.path, 'data'))
  await writeFile(join(own.path, 'data', 'PG_VERSION'), '15\n')
  await expect(startEmbeddedPostgres({ directory: own.path, log })).rejects.toMatchObject({
    code: 'EMBEDDED_POSTGRES',
    message: expect.stringMatching(/made by Postgres 15, .* brings Postgres 18: .* move the directory away/),
  })
})

test('a server that cannot start says why in its own words', async () => {
  const options = { directory, log, settings: { shared_buffers: 'plenty' } }
  await expect(startEmbeddedPostgres(options)).rejects.toThrow(/invalid value for parameter "shared_buffers"/)
})

test('nobody enters without the password, which only the owner can read', async () => {
  const server = await start()
  const wrong = new URL(server.url)
  wrong.password = 'wrong'
  await expect(query(wrong.href, 'select 1')).rejects.toMatchObject({ code: '28P01' })
  expect((await stat(join(directory, 'data', 'branchline_password'))).mode & 0o777).toBe(0o600)
  await server.stop()
})

test('with a socket directory the server listens there and on no port', async () => {
  const socketDirectory = await mkdtemp(join(tmpdir(), 'bl-'))
  let server: EmbeddedPostgres | undefined
  try {
    server = await start({ socketDirectory })
    expect(await query(server.url, 'show listen_addresses')).toEqual([{ listen_addresses: '' }])
    const again = await start({ socketDirectory })
    expect(again.pid).toBe(server.pid)
  } finally {
    await server?.stop()
    await rm(socketDirectory, { recursive: true, force: true })
  }
})

test('binaries whose install script did not run are completed', async () => {
  await using own = await ownDirectory()
  const installed = await installedWithoutScripts(own.path)
  const binaries = await postgresBinaries({ user: undefined, installed })
  expect(binaries.initdb.startsWith(installed.native)).toBe(true)
  const child = spawn(binaries.initdb, ['--version'], { stdio: 'ignore' })
  expect(await once(child, 'exit')).toEqual([0, null])
})

test.runIf(asRoot)('binaries that the user of Postgres cannot reach are copied once', async () => {
  await using own = await ownDirectory()
  const installed = await installedWithoutScripts(own.path)
  const parent = await mkdtemp(join(tmpdir(), 'branchline-cache-'))
  const cacheDirectory = join(parent, 'cache')
  try {
    await chmod(parent, 0o755)
    const user = await postgresUser(join(directory, 'data'))
    const first = await postgresBinaries({ user, installed, cacheDirectory })
    expect(first.postgres.startsWith(cacheDirectory)).toBe(true)
    const made = (await stat(first.postgres)).ino
    const second = await postgresBinaries({ user, installed, cacheDirectory })
    expect((await stat(second.postgres)).ino).toBe(made)
  } finally {
    await rm(parent, { recursive: true, force: true })
  }
})

/** The package as `npm ci --ignore-scripts` leaves it, below a directory that only its owner may enter. */
async function installedWithoutScripts(place: string) {
  const { native, version } = installedBinaries()
  const copy = join(place, 'package', 'native')
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as { target: string }[]
  const targets = new Set(links.map(({ target }) => join(native, '..', target)))
  await cp(native, copy, { recursive: true, filter: (source) => !targets.has(source) })
  return { native: copy, version }
}

async function listenOn(port: number): Promise<AsyncDisposable & { port: number }> {
  const server = createServer()
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const { port: actual } = server.address() as { port: number }
  return {
    port: actual,
    [Symbol.asyncDispose]: async () => {
      await once(server.close(), 'close')
    },
  }
}

async function unusedPort(): Promise<number> {
  await using holder = await listenOn(0)
  return holder.port
}
