import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HookError } from '../../../runtime/errors.ts'
import { readLeases, worktreesFolder } from '../../../runtime/worktree-lease.ts'
import { createExechook } from '../../../sync/hooks/exechook.ts'
import { createHook } from '../../../sync/hooks/hook.ts'
import { eventually } from '../../support/eventually.ts'
import { captureLog, commitA, environment, type Folder, makeFolder, never } from './hook-fixtures.ts'

function exechook(folder: Folder, command: string, options: { timeoutMs?: number } = {}) {
  const { log, lines, text } = captureLog()
  const run = createExechook({
    name: 'exechook',
    command,
    timeoutMs: options.timeoutMs ?? 30_000,
    environment: { ...environment, SECRET: 'hunter2' },
    worktreePath: () => folder.path,
    redact: (output) => output.replaceAll('hunter2', 'REDACTED'),
    log,
  })
  return { run, lines, text }
}

async function failureOf(run: Promise<void>): Promise<HookError> {
  const error = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(HookError)
  return error as HookError
}

test('what a successful exechook printed is in the log', async () => {
  await using folder = await makeFolder()
  await folder.script('hook', 'echo "to $GITSYNC_HASH"', 'echo warned >&2')
  const { run, lines } = exechook(folder, './hook')
  await run(commitA, never)
  const logged = { level: 'info', hash: commitA }
  expect(lines).toMatchObject([
    { ...logged, msg: 'running exechook', command: './hook', timeout_ms: 30_000 },
    { ...logged, msg: 'exechook succeeded', stdout: `to ${commitA}`, stderr: 'warned' },
  ])
})

test('what a failing exechook printed is in the error', async () => {
  await using folder = await makeFolder()
  await folder.script('hook', 'echo some "words"', 'echo warned >&2', 'exit 7')
  const error = await failureOf(exechook(folder, './hook').run(commitA, never))
  expect(error.message).toBe(
    'exechook ./hook ended with exit code 7: { stdout: "some words", stderr: "warned" }',
  )
  expect(error.details).toMatchObject({ hash: commitA, command: './hook', end: 'exited', exit_code: 7 })
})

test('an exechook that prints without end is ended by its timeout, and both ends of its output are kept', async () => {
  await using folder = await makeFolder()
  await folder.script('hook', 'echo first', 'while :; do echo more; done')
  const error = await failureOf(exechook(folder, './hook', { timeoutMs: 500 }).run(commitA, never))
  expect(error.message).toMatch(
    /^exechook \.\/hook took longer than its timeout of 500 ms and was ended.*stdout: "first\\nmore.*bytes left out.*more/,
  )
  expect(error.message.length).toBeLessThan(128 * 1024)
})

test('an exechook that is not there is said to be missing', async () => {
  await using folder = await makeFolder()
  const error = await failureOf(exechook(folder, './hook').run(commitA, never))
  expect(error.message).toContain(
    `exechook ./hook could not be started: there is no file ${folder.path}/hook`,
  )
  expect(error.details.end).toBe('not_started')
})

test('an exechook that prints its environment puts no secret into log or error', async () => {
  await using folder = await makeFolder()
  await folder.script('shows', 'env')
  await folder.script('shows-and-fails', 'env', 'env >&2', 'exit 1')
  const shows = exechook(folder, './shows')
  await shows.run(commitA, never)
  expect(shows.text()).toContain('SECRET=REDACTED')
  expect(shows.text()).not.toContain('hunter2')
  const fails = exechook(folder, './shows-and-fails')
  const error = await failureOf(fails.run(commitA, never))
  expect(error.message).toContain('SECRET=REDACTED')
  expect(JSON.stringify([error.message, error.details, fails.text()])).not.toContain('hunter2')
})

test('of a secret that lies where the output of an exechook is cut, nothing is told', async () => {
  await using folder = await makeFolder()
  const secret = 'a-secret-of-some-length'
  const { log, text } = captureLog()
  const run = createExechook({
    name: 'exechook',
    command: './hook',
    timeoutMs: 30_000,
    environment: { ...environment, SECRET: secret },
    worktreePath: () => folder.path,
    redact: (output) => output.replaceAll(secret, 'REDACTED'),
    log,
  })
  for (let drift = 0; drift < 4; drift += 1) {
    await folder.script(
      'hook',
      `printf '${'.'.repeat(drift * 7)}'`,
      'yes "<<< $SECRET" | head -n 20000',
      `printf '${'.'.repeat(drift * 5)}'`,
    )
    await run(commitA, never)
  }
  expect(text()).toContain('bytes left out')
  expect(text()).not.toMatch(/a-se|secr|of-some|length/)
})

test('a worktree is held as long as its exechook runs', async () => {
  await using folder = await makeFolder()
  const worktree = join(folder.path, worktreesFolder, commitA)
  await mkdir(worktree, { recursive: true })
  const program = await folder.script('hook', 'until [ -e go ]; do sleep 0.01; done')
  const { run } = exechook({ ...folder, path: worktree }, program)
  const running = run(commitA, never)
  await eventually('a lease', async () => (await readLeases(folder.path, commitA, Date.now())).length > 0)
  expect(await readLeases(folder.path, commitA, Date.now())).toMatchObject([{ owner: 'exechook' }])
  await writeFile(join(worktree, 'go'), '')
  await running
  expect(await readLeases(folder.path, commitA, Date.now())).toEqual([])
})

test('a hook that runs an exechook tries until the program succeeds', async () => {
  await using folder = await makeFolder()
  await folder.script('hook', 'echo x >> tries', '[ "$(wc -l < tries)" -ge 3 ]')
  const { log } = captureLog()
  await using hook = createHook({
    name: 'exechook',
    run: exechook(folder, './hook').run,
    backoffMs: 1,
    isOneTime: false,
    log,
    onRun: () => {},
  })
  hook.send(commitA)
  await eventually('three tries', async () => (await folder.read('tries')) === 'x\nx\nx\n')
})

test('a hook that is stopped ends its program', async () => {
  await using folder = await makeFolder()
  await folder.script('hook', 'echo $$ > pid', 'exec sleep 300')
  const { run, lines } = exechook(folder, './hook')
  const hook = createHook({
    name: 'exechook',
    run,
    backoffMs: 1,
    isOneTime: false,
    log: captureLog().log,
    onRun: () => {},
  })
  hook.send(commitA)
  const pid = await folder.pidIn('pid')
  await hook.stop()
  expect(() => process.kill(pid, 0)).toThrow()
  expect(lines.map(({ msg }) => msg)).toEqual(['running exechook'])
})
