import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startEmbeddedPostgres } from '../../../cli/dev/embedded-postgres.ts'
import { type ProgramLine, type ProgramOptions, programPart } from '../../../cli/dev/supervised-program.ts'
import { createSupervisor, type Part } from '../../../cli/dev/supervisor.ts'
import { createLogger } from '../../../runtime/log.ts'
import { isRunning } from '../../../runtime/process-start.ts'

const parentWatch = new URL('../../../runtime/parent-watch.ts', import.meta.url).href
let directory: string
let lines: ProgramLine[]
let logged: Record<string, unknown>[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'branchline-supervisor-'))
  lines = []
  logged = []
})

afterEach(() => rm(directory, { recursive: true, force: true }))

const log = createLogger('test', { destination: { write: (line) => logged.push(JSON.parse(line)) } })

/**
 * A program that reports ready and writes its steps to the file `steps`: `<name> up`, `<name> down`. `extra` is
 * more code of it, run before it reports.
 */
function programSource(extra = ''): string {
  return `
    import { appendFileSync } from 'node:fs'
    import { onParentGone, reportReady } from '${parentWatch}'
    const [name, directory] = process.argv.slice(1)
    const step = (text) => appendFileSync(directory + '/steps', name + ' ' + text + '\\n')
    const end = () => { step('down'); process.exit(0) }
    process.on('SIGTERM', end)
    onParentGone(() => { step('orphaned'); process.exit(0) })
    setInterval(() => {}, 1_000)
    ${extra}
    step('up')
    reportReady()`
}

const program = (name: string, extra = '', more: Partial<ProgramOptions> = {}): Part =>
  programPart({
    name,
    args: ['--input-type=module', '-e', programSource(extra), name, directory],
    env: { PATH: process.env.PATH },
    readiness: 'reported',
    onLine: (line) => lines.push(line),
    ...more,
  })

const steps = async () =>
  (await readFile(join(directory, 'steps'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '')

const supervise = (parts: Part[]) =>
  createSupervisor({ parts, log, restartDelayMs: 10, maxRestartDelayMs: 40 })

test('programs start in order, each when the one before is ready, and stop in reverse order', async () => {
  const supervisor = supervise([
    program('first', 'await new Promise((done) => setTimeout(done, 100))'),
    program('second'),
    program('third'),
  ])
  await supervisor.start()
  const pids = supervisor.status().map(({ pid }) => pid!)
  expect(pids.every(isRunning)).toBe(true)
  await supervisor.stop()
  expect(pids.some(isRunning)).toBe(false)
  expect(await steps()).toEqual([
    ...['first up', 'second up', 'third up'],
    ...['third down', 'second down', 'first down'],
  ])
})

test('a killed program is started again at once, and the log says why', async () => {
  await using supervisor = supervise([program('sync'), program('web')])
  await supervisor.start()
  const [sync, web] = supervisor.status()
  process.kill(web!.pid!, 'SIGKILL')
  await vi.waitFor(() => {
    const pid = supervisor.status()[1]!.pid
    expect(pid !== null && pid !== web!.pid).toBe(true)
  }, 5_000)
  expect(supervisor.status()[0]).toEqual(sync)
  expect(logged).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      program: 'web',
      reason: 'it was ended by SIGKILL',
      restart_in_ms: 0,
    }),
  )
})

test('a program that ends again and again is restarted with growing pauses', async () => {
  await using supervisor = supervise([
    program('crasher', 'setTimeout(() => process.exit(3), 1)', { readiness: 'spawned' }),
  ])
  await supervisor.start()
  const pauses = () => logged.filter(({ restart_in_ms }) => restart_in_ms !== undefined)
  await vi.waitFor(() => expect(pauses().length).toBeGreaterThanOrEqual(6), { timeout: 20_000 })
  expect(
    pauses()
      .slice(0, 6)
      .map(({ restart_in_ms }) => restart_in_ms),
  ).toEqual([0, 10, 20, 40, 40, 40])
  expect(pauses()[0]).toMatchObject({ reason: 'it ended with exit code 3' })
})

test('a start that fails stops what was started, and gives the last words of the program', async () => {
  const supervisor = supervise([
    program('postgres'),
    program('web', 'console.error("port 8080 is in use"); process.exit(1)'),
    program('never'),
  ])
  await expect(supervisor.start()).rejects.toMatchObject({
    code: 'PROGRAM',
    message: 'web does not start: it ended with exit code 1. Its last words:\nport 8080 is in use',
  })
  expect(await steps()).toEqual(['postgres up', 'postgres down'])
  await supervisor.stop()
})

test('a command that does not exist is an error that names the program', async () => {
  const supervisor = supervise([program('sync', '', { command: join(directory, 'missing') })])
  await expect(supervisor.start()).rejects.toThrow(/^sync does not start: spawn .*missing ENOENT/)
})

test('a stop during the start ends the start', async () => {
  const supervisor = supervise([
    program('first'),
    program('slow', 'step("trying"); await new Promise(() => {})'),
  ])
  const started = supervisor.start()
  started.catch(() => {})
  await vi.waitFor(async () => expect(await steps()).toContain('slow trying'), 5_000)
  await supervisor.stop()
  await expect(started).rejects.toMatchObject({ name: 'AbortError' })
  expect(await steps()).toEqual(['first up', 'slow trying', 'slow down', 'first down'])
})

test('a program that does not heed SIGTERM is killed after the grace, with its process group', async () => {
  const supervisor = supervise([
    program(
      'stubborn',
      `const { spawn } = await import('node:child_process')
       step(spawn('sleep', ['1000']).pid)
       process.removeAllListeners('SIGTERM')
       process.on('SIGTERM', () => step('heard'))`,
      { stopGraceMs: 100 },
    ),
  ])
  await supervisor.start()
  const grandchild = Number((await steps())[0]!.split(' ')[1])
  expect(isRunning(grandchild)).toBe(true)
  await supervisor.stop()
  expect(await steps()).toEqual([`stubborn ${grandchild}`, 'stubborn up', 'stubborn heard'])
  await vi.waitFor(() => expect(isRunning(grandchild)).toBe(false), 5_000)
})

test('what a killed program leaves in its process group is killed before it is started again', async () => {
  await using supervisor = supervise([
    program(
      'sync',
      "const { spawn } = await import('node:child_process'); step(spawn('sleep', ['1000']).pid)",
    ),
  ])
  await supervisor.start()
  const grandchild = Number((await steps())[0]!.split(' ')[1])
  process.kill(supervisor.status()[0]!.pid!, 'SIGKILL')
  await vi.waitFor(() => expect(isRunning(grandchild)).toBe(false), 5_000)
})

test('each line of output is passed on with the name of the program and its stream', async () => {
  const supervisor = supervise([
    program('web', 'console.log("one\\ntwo"); console.error("three"); process.stdout.write("no newline")'),
  ])
  await supervisor.start()
  await supervisor.stop()
  await vi.waitFor(() => expect(lines).toHaveLength(4), 5_000)
  expect(lines.filter(({ stream }) => stream === 'stdout').map(({ text }) => text)).toEqual([
    'one',
    'two',
    'no newline',
  ])
  expect(lines).toContainEqual({ program: 'web', stream: 'stderr', text: 'three' })
})

test('nothing outlives a supervisor that is killed', async () => {
  const source = `
    const { createSupervisor } = await import('${new URL('../../../cli/dev/supervisor.ts', import.meta.url).href}')
    const { programPart } = await import('${new URL('../../../cli/dev/supervised-program.ts', import.meta.url).href}')
    const { createLogger } = await import('${new URL('../../../runtime/log.ts', import.meta.url).href}')
    const [program, directory] = process.argv.slice(1)
    const parts = ['sync', 'web'].map((name) => programPart({
      name, args: [program, name, directory], env: {}, readiness: 'reported', onLine: () => {},
    }))
    const supervisor = createSupervisor({ parts, log: createLogger('supervisor', { level: 'silent' }) })
    await supervisor.start()
    console.log(JSON.stringify(supervisor.status().map(({ pid }) => pid)))`
  const file = join(directory, 'program.mjs')
  await writeFile(file, programSource().replace('process.argv.slice(1)', 'process.argv.slice(2)'))
  const supervisor = spawn(process.execPath, ['--input-type=module', '-e', source, file, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(supervisor.stdout, 'data')) as [Buffer]
  const pids = JSON.parse(line.toString()) as number[]
  expect(pids.every(isRunning)).toBe(true)
  supervisor.kill('SIGKILL')
  await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), 5_000)
  expect((await steps()).toSorted()).toEqual(['sync orphaned', 'sync up', 'web orphaned', 'web up'])
})

test('the embedded Postgres is a part too: killed, it comes back with its data on the same address', async () => {
  let url = ''
  const postgres: Part = {
    name: 'postgres',
    async start(signal) {
      const server = await startEmbeddedPostgres({ directory, log, signal })
      url = server.url
      return server
    },
  }
  await using supervisor = supervise([postgres])
  await supervisor.start()
  const before = { url, pid: supervisor.status()[0]!.pid! }
  process.kill(before.pid, 'SIGKILL')
  await vi.waitFor(
    () => {
      const { pid } = supervisor.status()[0]!
      expect(pid !== null && pid !== before.pid).toBe(true)
    },
    { timeout: 10_000 },
  )
  expect(url).toBe(before.url)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await client.end()
})

test('a program without a supervisor is left alone', async () => {
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { onParentGone, reportReady } from '${parentWatch}'
     onParentGone(() => console.log('gone'))
     reportReady()
     console.log('still here')`,
  ])
  const output = child.stdout.toArray()
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(Buffer.concat(await output).toString()).toBe('still here\n')
})
