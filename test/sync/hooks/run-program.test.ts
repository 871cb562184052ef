import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isRunning } from '../../../runtime/process-start.ts'
import { describeEnd, type ProgramEnd, runProgram } from '../../../sync/hooks/run-program.ts'
import { commitA, environment, gone, makeFolder, never } from './hook-fixtures.ts'

interface Run {
  end: ProgramEnd
  stdout: string
  stderr: string
  tookMs: number
}

async function run(
  worktree: string,
  command: string,
  options: {
    timeoutMs?: number
    signal?: AbortSignal
    environment?: Record<string, string | undefined>
  } = {},
): Promise<Run> {
  const output = { stdout: '', stderr: '' }
  const began = performance.now()
  const end = await runProgram({
    command,
    worktree,
    commit: commitA,
    environment: options.environment ?? environment,
    timeoutMs: options.timeoutMs ?? 30_000,
    signal: options.signal ?? never,
    onOutput: (chunk, stream) => {
      output[stream] += chunk
    },
  })
  return { end, ...output, tookMs: performance.now() - began }
}

describe('what a program gets', () => {
  test('it runs in the worktree, without arguments, with the commit in its environment', async () => {
    await using folder = await makeFolder()
    await folder.script('hook', 'pwd', 'echo "$#"', 'echo "$GITSYNC_HASH $OWN"', 'echo oops >&2')
    const { end, stdout, stderr } = await run(folder.path, './hook', {
      environment: { ...environment, OWN: 'x', GITSYNC_HASH: 'stale' },
    })
    expect(end).toEqual({ type: 'exited', exitCode: 0 })
    expect(stdout).toBe(`${await realpath(folder.path)}\n0\n${commitA} x\n`)
    expect(stderr).toBe('oops\n')
  })

  test('its standard input is empty', async () => {
    await using folder = await makeFolder()
    await folder.script('hook', 'cat', 'echo done')
    expect((await run(folder.path, './hook')).stdout).toBe('done\n')
  })
})

describe('which program a command is', () => {
  test('a path in a folder of the worktree, an absolute path, and a link to a file', async () => {
    await using folder = await makeFolder()
    await mkdir(join(folder.path, 'bin'))
    const path = await folder.script('bin/hook', 'echo ran')
    await symlink('bin/hook', join(folder.path, 'linked'))
    for (const command of ['bin/hook', './bin/../bin/hook', path, './linked']) {
      expect((await run(folder.path, command)).stdout, command).toBe('ran\n')
    }
  })

  test('a name without a slash is one in PATH, and never a file of the repository', async () => {
    await using folder = await makeFolder()
    await using installed = await makeFolder()
    await folder.script('hook', 'echo repository')
    await installed.script('hook', 'echo installed')
    await mkdir(join(folder.path, 'sub'))
    const inPath = (path: string) => run(folder.path, 'hook', { environment: { PATH: path } })
    expect((await inPath(`/nowhere:${installed.path}:/bin`)).stdout).toBe('installed\n')
    for (const path of ['/bin', '.:/bin', ':/bin']) {
      const { end } = await inPath(path)
      expect(end).toMatchObject({
        type: 'not_started',
        reason: expect.stringContaining('write ./hook to run it'),
      })
    }
  })

  test.each([
    ['./absent', 'there is no file'],
    ['absent-program', 'there is no program "absent-program" in PATH'],
    ['./sub', 'is a folder'],
    ['./plain', 'is not executable'],
    ['./interpreted', 'needs an interpreter that is not here'],
  ])('%s cannot be started, and the reason says: %s', async (command, reason) => {
    await using folder = await makeFolder()
    await mkdir(join(folder.path, 'sub'))
    await writeFile(join(folder.path, 'plain'), '#!/bin/sh\n')
    await writeFile(join(folder.path, 'interpreted'), '#!/no/such/shell\n')
    await chmod(join(folder.path, 'interpreted'), 0o755)
    const { end } = await run(folder.path, command)
    expect(end).toMatchObject({ type: 'not_started', reason: expect.stringContaining(reason) })
    expect(describeEnd(end, 1)).toContain('could not be started: ')
  })

  test('a worktree that is gone is named', async () => {
    const { end } = await run('/no/such/worktree', '/bin/true')
    expect(describeEnd(end, 1)).toContain('its worktree /no/such/worktree does not exist')
  })
})

describe('how a program ends', () => {
  test('an exit code and a signal are told apart', async () => {
    await using folder = await makeFolder()
    await folder.script('fails', 'exit 3')
    await folder.script('dies', 'kill -TERM $$')
    expect((await run(folder.path, './fails')).end).toEqual({ type: 'exited', exitCode: 3 })
    expect((await run(folder.path, './dies')).end).toEqual({ type: 'signalled', signal: 'SIGTERM' })
  })

  test('a timeout ends it with its children, those too that left its process group', async () => {
    await using folder = await makeFolder()
    await folder.script(
      'hook',
      'sleep 300 & echo $! > child',
      "setsid sh -c 'echo $$ > stray; sleep 300 & echo $! > stray-child; wait' &",
      "trap '' TERM INT HUP",
      'echo begun',
      'wait',
    )
    const running = run(folder.path, './hook', { timeoutMs: 2_000 })
    const pids = await Promise.all(['child', 'stray', 'stray-child'].map(folder.pidIn))
    const { end, stdout } = await running
    expect(end).toEqual({ type: 'timed_out' })
    expect(stdout).toBe('begun\n')
    expect(pids.filter(isRunning)).toEqual([])
  })

  test('an abort ends it with its children, and its reason is thrown', async () => {
    await using folder = await makeFolder()
    await folder.script('hook', 'sleep 300 & echo $! > child', 'wait')
    const controller = new AbortController()
    const running = run(folder.path, './hook', { signal: controller.signal })
    const pid = await folder.pidIn('child')
    controller.abort(new Error('sync is stopping'))
    await expect(running).rejects.toThrow('sync is stopping')
    expect(isRunning(pid)).toBe(false)
  })

  test('an abort before the start starts nothing', async () => {
    await using folder = await makeFolder()
    await folder.script('hook', 'touch ran')
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(run(folder.path, './hook', { signal })).rejects.toThrow('too late')
    expect(await folder.read('ran')).toBeUndefined()
  })

  test('a failure ends what the program left running', async () => {
    await using folder = await makeFolder()
    await folder.script('hook', 'sleep 300 & echo $! > child', 'exit 1')
    const { end, tookMs } = await run(folder.path, './hook')
    expect(end).toEqual({ type: 'exited', exitCode: 1 })
    expect(isRunning(await folder.pidIn('child'))).toBe(false)
    expect(tookMs).toBeLessThan(10_000)
  })

  test('a process that it left running with its pipe open neither delays the return nor is ended', async () => {
    await using folder = await makeFolder()
    await folder.script(
      'hook',
      '(until [ -e go ]; do sleep 0.05; done; echo late; echo "$?" > wrote; sleep 300) & echo $! > child',
      'echo said',
    )
    const { end, stdout, tookMs } = await run(folder.path, './hook')
    const pid = await folder.pidIn('child')
    try {
      expect(end).toEqual({ type: 'exited', exitCode: 0 })
      expect(stdout).toBe('said\n')
      expect(tookMs).toBeLessThan(10_000)
      await writeFile(join(folder.path, 'go'), '')
      // Had its pipe been closed, it would have died of the write.
      expect(await folder.pidIn('wrote')).toBe(0)
      expect(isRunning(pid)).toBe(true)
    } finally {
      process.kill(pid, 'SIGKILL')
      await gone(pid)
    }
  })

  test('all output of a program that prints much has come when it resolves', async () => {
    await using folder = await makeFolder()
    await folder.script('hook', 'head -c 3000000 /dev/zero', 'head -c 2000000 /dev/zero >&2')
    const { stdout, stderr } = await run(folder.path, './hook')
    expect([stdout.length, stderr.length]).toEqual([3_000_000, 2_000_000])
  })
})

test.runIf(process.platform === 'linux')(
  'without a file to spare it is not started, and says so',
  async () => {
    await using folder = await makeFolder()
    await folder.script('hook', 'true')
    const limit = (soft: string): string => `prlimit --pid ${process.pid} --nofile=${soft}:`
    // It takes a process that runs already to give back what it takes to start one.
    const before = `before=$(prlimit --pid ${process.pid} --nofile --output=SOFT --noheadings)`
    const giver = spawn('sh', ['-c', `${before}; ${limit('1')}; echo; read _; ${limit('$before')}`])
    const closed = once(giver, 'close')
    try {
      await once(giver.stdout, 'data')
      const { end } = await run(folder.path, './hook')
      expect(end).toMatchObject({ type: 'not_started', reason: expect.stringContaining('EMFILE') })
    } finally {
      giver.stdin.end('\n')
      await closed
    }
    expect((await run(folder.path, './hook')).end).toEqual({ type: 'exited', exitCode: 0 })
  },
)
