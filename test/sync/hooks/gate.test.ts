import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { GateError, HookError } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import { isRunning } from '../../../runtime/process-start.ts'
import { createGateMemory, runGate } from '../../../sync/hooks/gate.ts'
import { eventually } from '../../support/eventually.ts'
import { captureLog, commitA, commitB, environment, type Folder, makeFolder, never } from './hook-fixtures.ts'

const longSecret = 'a-secret-of-some-length'
const longSecretParts = /a-se|secr|of-some|length/
const outputName = `.gate/${commitA}.log`

function gate(
  folder: Folder,
  options: { command?: string; timeoutMs?: number; signal?: AbortSignal; log?: Logger } = {},
) {
  return runGate({
    command: options.command ?? './gate',
    timeoutMs: options.timeoutMs ?? 30_000,
    commit: commitA,
    worktree: folder.path,
    environment: { ...environment, SECRET: 'hunter2', LONG: longSecret },
    outputPath: join(folder.path, outputName),
    redact: (text) => text.replaceAll('hunter2', 'REDACTED').replaceAll(longSecret, 'REDACTED'),
    signal: options.signal ?? never,
    log: options.log ?? captureLog().log,
  })
}

async function refusalOf(run: Promise<void>): Promise<GateError> {
  const error = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(GateError)
  return error as GateError
}

describe('a gate', () => {
  test('lets a commit pass by exit code 0, and its output is kept', async () => {
    await using folder = await makeFolder()
    await folder.script('gate', 'echo "checking $GITSYNC_HASH"', 'pwd >&2')
    await gate(folder)
    const output = await folder.read(outputName)
    expect(output).toContain(`checking ${commitA}\n`)
    expect(output).toContain(`${folder.path}\n`)
  })

  test('refuses a commit by any other, with its last lines and where all of them are', async () => {
    await using folder = await makeFolder()
    await folder.script('gate', 'seq 1 1000', 'exit 4')
    const error = await refusalOf(gate(folder))
    expect(error.message).toContain(
      `the gate ./gate did not let commit ${commitA} pass: it ended with exit code 4.`,
    )
    expect(error.message).toContain('Its last lines:\n981\n982\n')
    expect(error.message).toContain(`\n1000\nIts output is in ${folder.path}/${outputName}.`)
    expect(error.code).toBe('GATE')
    expect(error.details).toMatchObject({ hash: commitA, end: 'exited', exit_code: 4 })
    expect((await folder.read(outputName))!.split('\n')).toHaveLength(1_001)
  })

  test.each([
    [
      'kill -KILL $$',
      /it was ended by SIGKILL\. It printed nothing\./,
      { end: 'signalled', signal: 'SIGKILL' },
    ],
    ['exec sleep 300', /it took longer than its timeout of 500 ms and was ended/, { end: 'timed_out' }],
  ])('that ends by %s refuses', async (line, message, details) => {
    await using folder = await makeFolder()
    await folder.script('gate', line)
    const error = await refusalOf(gate(folder, { timeoutMs: 500 }))
    expect(error.message).toMatch(message)
    expect(error.details).toMatchObject(details)
  })

  test('that is not in the commit refuses, and says so', async () => {
    await using folder = await makeFolder()
    const error = await refusalOf(gate(folder))
    expect(error.message).toContain(`it could not be started: there is no file ${folder.path}/gate`)
  })

  test('is ended by the signal with all that it started, and that is no refusal', async () => {
    await using folder = await makeFolder()
    await folder.script('gate', 'sleep 300 & echo $! > child', 'wait')
    const controller = new AbortController()
    const running = gate(folder, { signal: controller.signal })
    const pid = await folder.pidIn('child')
    controller.abort(new Error('sync is stopping'))
    await expect(running).rejects.toThrow(/^sync is stopping$/)
    expect(isRunning(pid)).toBe(false)
  })
})

describe('the output of a gate', () => {
  test('is in its file while the gate still runs, and replaces that of the run before', async () => {
    await using folder = await makeFolder()
    await mkdir(join(folder.path, '.gate'))
    await writeFile(join(folder.path, outputName), 'of the run before, which printed more\n')
    await folder.script('gate', 'echo begun', 'until [ -e go ]; do sleep 0.01; done', 'echo ended')
    const running = gate(folder)
    await eventually('first line', async () => (await folder.read(outputName)) === 'begun\n')
    await writeFile(join(folder.path, 'go'), '')
    await running
    expect(await folder.read(outputName)).toBe('begun\nended\n')
  })

  test('is bounded: beginning and end of more are kept', async () => {
    await using folder = await makeFolder()
    await folder.script('gate', 'echo first', 'head -c 5000000 /dev/zero', 'echo last')
    await gate(folder)
    const output = (await folder.read(outputName))!
    expect(output).toMatch(/^first\n\0+\n… \d+ bytes left out …\n\0+last\n$/)
    expect(output.length).toBeLessThan(1_200_000)
  })

  test('that cannot be kept is no refusal, and the gate is not run', async () => {
    await using folder = await makeFolder()
    await folder.script('gate', 'touch ran')
    await writeFile(join(folder.path, '.gate'), 'a file where the folder is to be')
    const error = (await gate(folder).catch((thrown: unknown) => thrown)) as HookError
    expect(error).toBeInstanceOf(HookError)
    expect(error.message).toContain(`the gate's output cannot be kept in ${folder.path}/${outputName}: E`)
    expect(await folder.read('ran')).toBeUndefined()
  })

  test('that finds the disk full makes no refusal of a pass, and no pass of a refusal', async () => {
    await using folder = await makeFolder()
    await mkdir(join(folder.path, '.gate'))
    await symlink('/dev/full', join(folder.path, outputName))
    await folder.script('gate', 'echo something')
    const error = (await gate(folder).catch((thrown: unknown) => thrown)) as HookError
    expect(error).toBeInstanceOf(HookError)
    expect(error.message).toContain('ENOSPC')
    await folder.script('gate', 'echo something', 'exit 4')
    const refusal = await refusalOf(gate(folder))
    expect(refusal.message).toMatch(/ended with exit code 4\. .*something\n.*cannot be kept .*ENOSPC/s)
  })

  test('of old commits that cannot be removed makes no failure of a pass', async () => {
    await using folder = await makeFolder()
    await folder.script('gate', 'rm -r .gate', 'touch .gate')
    const { log, lines } = captureLog()
    await gate(folder, { log })
    expect(lines).toMatchObject([{ level: 'warn', msg: 'could not remove old output of the gate' }])
  })

  test('puts no secret into the error', async () => {
    await using folder = await makeFolder()
    await folder.script('gate', 'env', 'exit 1')
    const error = await refusalOf(gate(folder))
    expect(error.message).toContain('SECRET=REDACTED')
    expect(error.message).not.toContain('hunter2')
  })

  test('has no part of a secret in the error, wherever its beginning is cut off', async () => {
    await using folder = await makeFolder()
    for (let length = 4_075; length < 4_106; length += 6) {
      await folder.script(
        'gate',
        'printf "token=$LONG"',
        `head -c ${length} /dev/zero | tr '\\0' x`,
        'exit 1',
      )
      const error = await refusalOf(gate(folder))
      expect(error.message).not.toMatch(longSecretParts)
      await folder.script('gate', 'printf "token=$LONG"', `head -c ${length + 16 * 1024} /dev/zero`, 'exit 1')
      expect((await refusalOf(gate(folder))).message).not.toMatch(longSecretParts)
    }
  })

  test('has no secret in its file, in whatever pieces it was printed, at its beginning and at its end', async () => {
    await using folder = await makeFolder()
    await folder.script(
      'gate',
      'echo "token=$SECRET"',
      'printf a-secret-; sleep 0.1; echo amid >&2; sleep 0.1; echo of-some-length.',
      "head -c 1200000 /dev/zero | tr '\\0' x",
      'i=0; while [ $i -lt 3000 ]; do echo "$i $LONG"; i=$((i + 1)); done',
      'printf "last $LONG"',
    )
    await gate(folder)
    const output = (await folder.read(outputName))!
    expect(output).toMatch(/^token=REDACTED\namid\nREDACTED\.\nx+/)
    expect(output).toMatch(/bytes left out …\n.*\n2999 REDACTED\nlast REDACTED$/s)
    expect(output).not.toMatch(longSecretParts)
    expect(output).not.toContain('hunter2')
  })

  test('is kept for the hundred latest commits', async () => {
    await using folder = await makeFolder()
    await mkdir(join(folder.path, '.gate'))
    for (let index = 0; index < 100; index += 1) {
      const path = join(folder.path, '.gate', `${String(index).padStart(40, '0')}.log`)
      await writeFile(path, '')
      await utimes(path, 1_000 + index, 1_000 + index)
    }
    await folder.script('gate', 'true')
    await gate(folder)
    const names = await readdir(join(folder.path, '.gate'))
    expect(names).toHaveLength(100)
    expect(names).toContain(`${commitA}.log`)
    expect(names).not.toContain(`${'0'.repeat(40)}.log`)
  })
})

test('a refusal stands for its commit until the backoff is over or another commit is refused', () => {
  let now = 1_000
  const memory = createGateMemory({ backoffMs: 100, clock: { now: () => now } })
  const [first, second] = [new GateError('first'), new GateError('second')]
  expect(memory.refusalOf(commitA)).toBeUndefined()
  memory.refused(commitA, first)
  expect(memory.refusalOf(commitA)).toBe(first)
  expect(memory.refusalOf(commitB)).toBeUndefined()
  now += 99
  expect(memory.refusalOf(commitA)).toBe(first)
  now += 1
  expect(memory.refusalOf(commitA)).toBeUndefined()
  memory.refused(commitA, first)
  memory.refused(commitB, second)
  expect(memory.refusalOf(commitA)).toBeUndefined()
  expect(memory.refusalOf(commitB)).toBe(second)
  now = 0
  expect(memory.refusalOf(commitB)).toBeUndefined()
})
