// Which git processes are ended, and which are let be: real git, waiting for a server that does not answer.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLogger } from '../../../runtime/log.ts'
import { isRunning } from '../../../runtime/process-start.ts'
import { createGit, type Git } from '../../../sync/git/git.ts'
import { gitEnvironment, hookEnvironment } from '../../../sync/git/git-environment.ts'
import {
  descendantsOf,
  gitProcessesOf,
  killGitProcesses,
  killLeftGitProcesses,
  rootMark,
  rootMarkOf,
  runMark,
} from '../../../sync/git/processes.ts'
import { recoverRoot } from '../../../sync/root/recover.ts'
import { eventually } from '../../support/eventually.ts'
import {
  createTestRepository,
  type GitHttpServer,
  serveGitOverHttp,
  type TestRepository,
} from '../../support/git-server.ts'
import { createSyncDeps } from '../sync-deps.ts'
import { temporaryFolder } from '../sync-process.ts'

let repository: TestRepository
let server: GitHttpServer
beforeAll(async () => {
  repository = await createTestRepository()
  server = await serveGitOverHttp({ folder: repository.folder, username: 'user', password: 'x' })
  server.hang()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await repository?.close()
})

const ssh = { keyFiles: [], knownHosts: true, knownHostsFile: '/dev/null', verbosity: 0 }

function openGit(root: string, signal: AbortSignal): Git {
  const gitConfigPath = join(root, '.sync-gitconfig')
  const base = { PATH: process.env.PATH }
  const environment = gitEnvironment({ base, withheld: [], root, gitConfigPath, ssh })
  const log = createLogger('sync', { level: 'silent' })
  return createGit({ binary: 'git', root, environment, signal, redact: (text) => text, log })
}

/** git and its helper, which wait for the server; ids in the order in which they began. */
async function startWaiting(root: string) {
  const controller = new AbortController()
  const others = new Set(await gitProcessesOf(root))
  const done = openGit(root, controller.signal)
    .lsRemote(server.urlWithPassword('origin.git'), 'main')
    .then(
      () => 'answered',
      (error: Error) => error.message,
    )
  const pids = await eventually('git and its helper', async () => {
    const found = (await gitProcessesOf(root)).filter((pid) => !others.has(pid))
    return found.some((pid) => nameOf(pid) === 'git-remote-http') ? found : undefined
  })
  return { controller, done, pids }
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

test('an abort ends its own git with all helpers, and no other of the same root', async () => {
  await using root = await temporaryFolder()
  const [one, other] = [await startWaiting(root.path), await startWaiting(root.path)]
  expect(one.pids.length).toBeGreaterThan(1)
  one.controller.abort(new Error('its time is over'))
  expect(await one.done).toContain('its time is over')
  expect(one.pids.filter(isRunning)).toEqual([])
  expect(other.pids.every(isRunning)).toBe(true)
  await killGitProcesses(root.path)
  await other.done
  expect(await gitProcessesOf(root.path)).toEqual([])
})

test('an abort that comes before git has begun ends it too', async () => {
  await using root = await temporaryFolder()
  const controller = new AbortController()
  const asking = openGit(root.path, controller.signal).lsRemote(server.urlWithPassword('origin.git'), 'main')
  controller.abort(new Error('its time is over'))
  await expect(asking).rejects.toThrow('its time is over')
  expect(await gitProcessesOf(root.path)).toEqual([])
})

test('of a git that was killed from outside no helper is left', async () => {
  await using root = await temporaryFolder()
  const { done, pids } = await startWaiting(root.path)
  process.kill(pids.find((pid) => nameOf(pid) === 'git')!, 'SIGKILL')
  await done
  expect(pids.filter(isRunning)).toEqual([])
})

test('a recovery ends what another sync left, and nothing that this one has at work', async () => {
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  const own = await startWaiting(root.path)
  const left = spawn('sleep', ['1000'], {
    env: { [rootMark]: rootMarkOf(root.path), [runMark]: 'another.1' },
  })
  // As the sync of another volume at the same path has it, in a mount namespace of its own.
  await using volume = await temporaryFolder()
  const otherMark = rootMarkOf(volume.path).replace(volume.path, root.path)
  const elsewhere = spawn('sleep', ['1000'], { env: { [rootMark]: otherMark, [runMark]: 'another.2' } })
  try {
    const exited = once(left, 'exit')
    await eventually('the left one', async () => (await gitProcessesOf(root.path)).includes(left.pid!))
    await recoverRoot(deps.layout, deps.git, deps.log)
    expect(await exited).toEqual([null, 'SIGKILL'])
    expect(own.pids.every(isRunning)).toBe(true)
    expect(isRunning(elsewhere.pid!)).toBe(true)
    expect(await killLeftGitProcesses(root.path)).toBe(0)
  } finally {
    elsewhere.kill('SIGKILL')
    own.controller.abort()
    await own.done
  }
})

test('hooks are none of the git processes of a root, whatever sync itself was started by', () => {
  const base = { PATH: '/bin', [rootMark]: '/root', [runMark]: 'x' }
  const environment = hookEnvironment({ base, gitConfigPath: '/config', ssh })
  expect(Object.keys(environment)).not.toContain(rootMark)
  expect(Object.keys(environment)).not.toContain(runMark)
})

test('by ps, the descendants of a process are found that are in its group, as hooks are not', async () => {
  const shell = spawn('sh', ['-c', 'sleep 1000 & wait'])
  const hook = spawn('sleep', ['1000'], { detached: true })
  let grandchild: number | undefined
  try {
    grandchild = await eventually('the grandchild', async () => (await descendantsOf(shell.pid!))[0])
    expect(await descendantsOf(process.pid)).toEqual([shell.pid, grandchild])
  } finally {
    hook.kill('SIGKILL')
    shell.kill('SIGKILL')
    if (grandchild !== undefined) process.kill(grandchild, 'SIGKILL')
  }
})
