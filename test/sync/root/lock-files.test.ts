// Which lock files a sync takes for those of dead git processes, and which it leaves to the living: real git
// processes hold them, are killed, or are at work elsewhere.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLogger } from '../../../runtime/log.ts'
import { createRun, runMark } from '../../../sync/git/processes.ts'
import type { Layout } from '../../../sync/root/layout.ts'
import { removeDeadLocks } from '../../../sync/root/lock-files.ts'
import { cleanUp, type SyncDeps, syncOnce } from '../../../sync/sync-once.ts'
import { eventually } from '../../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../../support/git-server.ts'
import { createSyncDeps } from '../sync-deps.ts'
import { publishedCommit, temporaryFolder } from '../sync-process.ts'

const secondMs = 1_000
let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository({ 'a.txt': 'one\n', 'folder/b.txt': 'b\n' })
})
afterAll(() => repository?.close())

async function sync(deps: SyncDeps): Promise<string> {
  const { commit } = await syncOnce(deps, 'start')
  await cleanUp({ ...deps, staleMs: 0 }, { published: commit!, kept: [], gc: 'always' })
  return commit!
}

/** A root that has published a commit. */
async function publishedRoot() {
  const folder = await temporaryFolder()
  const deps = await createSyncDeps({ root: folder.path, repo: repository.url })
  const commit = await sync(deps)
  return { deps, commit, layout: deps.layout, [Symbol.asyncDispose]: folder[Symbol.asyncDispose] }
}

/** Lines that were logged by one look at the locks. */
async function look(layout: Layout): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  await removeDeadLocks(layout, createLogger('sync', { destination }), new AbortController().signal)
  return lines
}

/** Writes a file that looks as if it had been there for a while. */
async function leave(path: string, ageMs: number, text = ''): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
  const time = (Date.now() - ageMs) / 1_000
  await utimes(path, time, time)
}

/** Ends a process with what it started. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  process.kill(-child.pid!, 'SIGKILL')
  await exited
}

const identity = { GIT_AUTHOR_NAME: 'P', GIT_AUTHOR_EMAIL: 'p@example.com', GIT_COMMITTER_NAME: 'P' }

/** A person's git, with an editor that nobody closes; it is ended with the test. */
function startGit(
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv; command?: string[] },
) {
  const [file, ...before] = [...(options.command ?? []), 'git', '-c', 'safe.directory=*', ...args]
  const env = {
    PATH: process.env.PATH,
    HOME: options.cwd,
    ...identity,
    GIT_COMMITTER_EMAIL: 'p@example.com',
    GIT_EDITOR: 'sleep 1000;:',
    ...options.env,
  }
  const child = spawn(file!, before, {
    cwd: options.cwd,
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  return { child, pid: child.pid!, kill: () => end(child), [Symbol.asyncDispose]: () => end(child) }
}

/** A commit that waits for its editor, holding the index's lock, which it has closed. */
async function startCommit(layout: Layout, commit: string) {
  const worktree = join(layout.worktreesDir, commit)
  await writeFile(join(worktree, 'a.txt'), 'mine\n')
  const lock = join(layout.gitDir, 'worktrees', commit, 'index.lock')
  const held = startGit(['commit', '--all'], { cwd: worktree })
  await eventually('the lock', () => existsSync(lock))
  await eventually('the editor', () => existsSync(join(dirname(lock), 'COMMIT_EDITMSG')))
  return { ...held, lock }
}

test('the lock of a commit whose editor is open is left to it, however old, and goes when it was killed', async () => {
  await using root = await publishedRoot()
  await using commit = await startCommit(root.layout, root.commit)
  await utimes(commit.lock, 1, 1)
  expect(await look(root.layout)).toMatchObject([
    {
      msg: 'lock file is held by a living process',
      path: commit.lock,
      // The editor is a git too until its program has been loaded.
      processes: expect.arrayContaining([{ pid: commit.pid, name: 'git' }]),
    },
  ])
  expect(existsSync(commit.lock)).toBe(true)
  await commit.kill()
  expect(existsSync(commit.lock)).toBe(true)
  expect(await look(root.layout)).toMatchObject([
    { msg: 'removed the lock file of a dead process', path: commit.lock },
  ])
  expect(existsSync(commit.lock)).toBe(false)
})

test('while a person commits in the published tree the link stays, and the sync after it succeeds', async () => {
  await using root = await publishedRoot()
  await using commit = await startCommit(root.layout, root.commit)
  await expect(sync(root.deps)).rejects.toThrow(/index\.lock/)
  expect(await publishedCommit(root.layout.linkPath)).toBe(root.commit)
  expect(existsSync(commit.lock)).toBe(true)
  await commit.kill()
  await sync(root.deps)
  expect(await readFile(join(root.layout.linkPath, 'a.txt'), 'utf8')).not.toBe('mine\n')
})

/** Ways in which git can be at work in a root while its directory is elsewhere. */
const elsewhere: Record<string, (layout: Layout) => { args: string[]; env?: NodeJS.ProcessEnv }> = {
  'its environment': ({ gitDir }) => ({ args: [], env: { GIT_DIR: gitDir } }),
  'a relative path in its environment': ({ gitDir }) => ({ args: [], env: { GIT_DIR: `../..${gitDir}` } }),
  'an argument': ({ gitDir }) => ({ args: [`--git-dir=${gitDir}`] }),
  'an argument of its own': ({ gitDir }) => ({ args: ['--git-dir', gitDir] }),
  'a link to it': ({ linkPath }) => ({ args: ['-C', linkPath] }),
}

test.for(Object.entries(elsewhere))('git that is led to the root by %s keeps locks', async ([, lead]) => {
  await using root = await publishedRoot()
  await using away = await temporaryFolder()
  const { args, env } = lead(root.layout)
  // The path that leads there is made from a folder that is two below the top.
  const cwd = env?.GIT_DIR?.startsWith('..') ? '/usr/bin' : away.path
  await using worker = startGit([...args, 'cat-file', '--batch'], {
    cwd,
    ...(env === undefined ? {} : { env }),
  })
  const lock = join(root.layout.gitDir, 'HEAD.lock')
  await leave(lock, 5_000)
  await eventually(
    'git',
    async () =>
      (await look(root.layout))[0]?.msg === 'lock file is held by a living process' ||
      leave(lock, 5_000).then(() => false as const),
  )
  await worker.kill()
  await look(root.layout)
  expect(existsSync(lock)).toBe(false)
})

const inNamespace = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c']
const canMount = spawnSync(inNamespace[0]!, [...inNamespace.slice(1), 'mount --bind /usr /mnt']).status === 0

test.skipIf(!canMount)('git that sees the root mounted in another place keeps locks', async () => {
  await using root = await publishedRoot()
  const script = 'mount --bind "$0" /mnt && cd /mnt/.worktrees/* && exec "$@"'
  await using worker = startGit(['cat-file', '--batch'], {
    cwd: '/',
    command: [...inNamespace, script, root.layout.root],
  })
  await eventually('git', async () => (await readFile(`/proc/${worker.pid}/comm`, 'utf8')) === 'git\n')
  const lock = join(root.layout.gitDir, 'HEAD.lock')
  await leave(lock, 5_000)
  await look(root.layout)
  expect(existsSync(lock)).toBe(true)
  await worker.kill()
  await look(root.layout)
  expect(existsSync(lock)).toBe(false)
})

/** Looks at the locks of a root as a user who may not see where the processes of others are. */
function lookAsAnother(root: string) {
  const module = (path: string) => JSON.stringify(resolve(import.meta.dirname, '../../..', path))
  const program = `
    import { removeDeadLocks } from ${module('sync/root/lock-files.ts')}
    import { createLogger } from ${module('runtime/log.ts')}
    const root = process.argv[1]
    await removeDeadLocks({ root, gitDir: root + '/.git' }, createLogger('sync'), new AbortController().signal)
  `
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups']
  const node = [process.execPath, '--input-type=module', '--eval', program, root]
  return spawnSync('setpriv', [...user, ...node], { encoding: 'utf8' })
}
const canBeAnother = lookAsAnother('/nowhere').status === 0

test.skipIf(!canBeAnother)(
  'git of another user keeps the locks that are his, for it does not tell where it is',
  async () => {
    await using folder = await temporaryFolder()
    const gitDir = join(folder.path, '.git')
    await using worker = startGit(['cat-file', '--batch'], { cwd: repository.clone })
    await eventually('git', async () => (await readFile(`/proc/${worker.pid}/comm`, 'utf8')) === 'git\n')
    const [his, ours] = ['HEAD.lock', 'config.lock'].map((name) => join(gitDir, name))
    await leave(his!, 5_000)
    for (const path of [folder.path, gitDir]) await chmod(path, 0o777)
    expect(lookAsAnother(folder.path).stderr).toContain('lock file is held by a living process')
    expect(existsSync(his!)).toBe(true)
    await rm(his!)
    await leave(ours!, 5_000)
    await chown(ours!, 65_534, 65_534)
    expect(lookAsAnother(folder.path).stderr).toContain('removed the lock file of a dead process')
    expect(existsSync(ours!)).toBe(false)
  },
)

test('git that is at work beside the root, or is dead and not yet waited for, keeps none', async () => {
  await using root = await publishedRoot()
  await using beside = startGit(['cat-file', '--batch'], { cwd: repository.clone })
  // The shell becomes a program that never waits for its children.
  const parent = spawn('sh', ['-c', `cd "$0" && git cat-file --batch & exec sleep 1000`, root.layout.root], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  try {
    const zombies = async () => {
      const children = await readFile(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8')
      const states = await Promise.all(
        children
          .trim()
          .split(' ')
          .map((pid) => readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')),
      )
      return states.some((state) => /^Name:\tgit$/m.test(state) && /^State:\tZ/m.test(state))
    }
    parent.stdin!.end()
    await eventually('the dead git', zombies)
    const lock = join(root.layout.gitDir, 'HEAD.lock')
    await leave(lock, 5_000)
    await look(root.layout)
    expect(existsSync(lock)).toBe(false)
    expect(beside.child.exitCode).toBe(null)
  } finally {
    await end(parent)
  }
})

test('locks that are young or of the future are waited for, all together, and old ones are not', async () => {
  await using root = await publishedRoot()
  const names = ['HEAD.lock', 'config.lock', 'refs/heads/x.lock']
  const paths = names.map((name) => join(root.layout.gitDir, name))
  const removed = async (): Promise<number> => {
    const start = performance.now()
    expect(await look(root.layout)).toHaveLength(paths.length)
    for (const path of paths) expect(existsSync(path)).toBe(false)
    return performance.now() - start
  }
  for (const path of paths) await leave(path, 5_000)
  expect(await removed()).toBeLessThan(secondMs)
  for (const ageMs of [0, -86_400_000]) {
    for (const path of paths) await leave(path, ageMs)
    const took = await removed()
    expect(took).toBeGreaterThanOrEqual(secondMs)
    expect(took).toBeLessThan(2 * secondMs)
  }
})

test('the waiting for young locks ends when the sync is to end, and nothing is removed', async () => {
  await using root = await publishedRoot()
  const path = join(root.layout.gitDir, 'HEAD.lock')
  await leave(path, 0)
  const controller = new AbortController()
  const start = performance.now()
  const looking = removeDeadLocks(root.layout, root.deps.log, controller.signal)
  controller.abort(new Error('sync is stopping'))
  await expect(looking).rejects.toThrow('sync is stopping')
  expect(performance.now() - start).toBeLessThan(secondMs / 2)
  expect(existsSync(path)).toBe(true)
})

test('git of this very sync, which looks at the published files, keeps none', async () => {
  await using root = await publishedRoot()
  await using own = startGit(['cat-file', '--batch'], {
    cwd: root.layout.root,
    env: { [runMark]: createRun() },
  })
  await eventually('git', async () => (await readFile(`/proc/${own.pid}/comm`, 'utf8')) === 'git\n')
  const path = join(root.layout.gitDir, 'HEAD.lock')
  await leave(path, 5_000)
  await look(root.layout)
  expect(existsSync(path)).toBe(false)
})

test('a lock that somebody who cannot be seen still writes to is left to him', async () => {
  await using root = await publishedRoot()
  const path = join(root.layout.gitDir, 'packed-refs.lock')
  await writeFile(path, '')
  let isWriting = true
  // Without opening it: nothing but its time tells.
  const writer = (async () => {
    while (isWriting) {
      await utimes(path, new Date(), new Date())
      await sleep(1)
    }
  })()
  try {
    expect(await look(root.layout)).toMatchObject([
      { msg: 'lock file is in use by a process that cannot be seen', path },
    ])
    expect(existsSync(path)).toBe(true)
  } finally {
    isWriting = false
    await writer
  }
  await look(root.layout)
  expect(existsSync(path)).toBe(false)
})

test('a lock that goes while it is waited for is no harm', async () => {
  await using root = await publishedRoot()
  const writer = spawn('sh', [
    '-c',
    'echo > "$0" && sleep 0.3 && rm "$0"',
    join(root.layout.gitDir, 'HEAD.lock'),
  ])
  const exited = once(writer, 'exit')
  await eventually('the lock', () => existsSync(join(root.layout.gitDir, 'HEAD.lock')))
  await look(root.layout)
  expect(await exited).toEqual([0, null])
  expect((await readdir(root.layout.gitDir)).filter((name) => name.includes('lock'))).toEqual([])
})

/** What a dead git may leave, by its path below `.git`; git-sync fails for ever on some of them. */
const leftovers = [
  'index.lock',
  'config.lock',
  'FETCH_HEAD.lock',
  'ORIG_HEAD.lock',
  'HEAD.lock',
  'shallow.lock',
  'packed-refs.lock',
  'logs/HEAD.lock',
  'refs/heads/git-sync.lock',
  'refs/remotes/origin/deep/er.lock',
  'worktrees/COMMIT/index.lock',
  'worktrees/COMMIT/HEAD.lock',
  'worktrees/COMMIT/modules/lib/config.lock',
  'worktrees/COMMIT/modules/lib/refs/heads/main.lock',
  'modules/lib/index.lock',
  'objects/info/commit-graphs/commit-graph-chain.lock',
  'objects/pack/multi-pack-index.lock',
  'gc.pid',
  'gc.pid.lock',
]

test.for(leftovers)('.git/%s of a dead git stops neither a restart nor the next commit', async (name) => {
  await using root = await publishedRoot()
  const path = join(root.layout.gitDir, name.replace('COMMIT', root.commit))
  await leave(path, 2 * secondMs, name === 'gc.pid' ? `4194305 ${hostname()}` : '')
  expect(await sync(root.deps)).toBe(root.commit)
  expect(existsSync(path)).toBe(false)
  const next = await repository.commit({ 'a.txt': String(Math.random()) })
  expect(await sync(root.deps)).toBe(next)
  expect(await publishedCommit(root.layout.linkPath)).toBe(next)
  expect(await git(root.layout.linkPath, ['status', '--porcelain'])).toBe('')
  await git(root.layout.root, ['fsck', '--no-progress'])
})

test('gc.pid is kept for the living git that it names', async () => {
  await using root = await publishedRoot()
  await using collector = startGit(['cat-file', '--batch'], { cwd: repository.clone })
  await eventually('git', async () => (await readFile(`/proc/${collector.pid}/comm`, 'utf8')) === 'git\n')
  const path = join(root.layout.gitDir, 'gc.pid')
  await leave(path, 5_000, `${collector.pid} ${hostname()}`)
  await look(root.layout)
  expect(existsSync(path)).toBe(true)
  await leave(path, 5_000, `${process.pid} ${hostname()}`)
  await look(root.layout)
  expect(existsSync(path)).toBe(false)
})

const temporaryFiles = [
  'objects/pack/tmp_pack_aB3dEf',
  'objects/pack/tmp_idx_aB3dEf',
  'objects/pack/.tmp-1234-pack-0123.pack',
  'objects/ab/tmp_obj_aB3dEf',
  'objects/tmp_objdir-incoming-x/pack/tmp_pack_x',
  'objects/info/commit-graphs/tmp_graph_aB3dEf',
  'modules/lib/objects/pack/tmp_pack_aB3dEf',
]

test('temporary files of dead git processes are removed; of living ones only those older than an hour', async () => {
  await using root = await publishedRoot()
  await mkdir(join(root.layout.gitDir, 'modules/lib'), { recursive: true })
  await writeFile(join(root.layout.gitDir, 'modules/lib/HEAD'), 'ref: refs/heads/main\n')
  const paths = temporaryFiles.map((name) => join(root.layout.gitDir, name))
  for (const path of paths) await leave(path, 0)
  const [first, ...others] = paths
  await using worker = startGit(['cat-file', '--batch'], { cwd: root.layout.linkPath })
  await eventually('git', async () => (await readFile(`/proc/${worker.pid}/comm`, 'utf8')) === 'git\n')
  await leave(first!, 3_601_000)
  await look(root.layout)
  expect(paths.filter((path) => existsSync(path))).toEqual(others)
  await worker.kill()
  await look(root.layout)
  expect(paths.filter((path) => existsSync(path))).toEqual([])
  expect(existsSync(join(root.layout.gitDir, 'objects/tmp_objdir-incoming-x'))).toBe(false)
})

test('refs that are named like temporary files are refs', async () => {
  await using root = await publishedRoot()
  const names = ['refs/heads/objects/tmp_x', 'refs/heads/aside-x', 'refs/tags/tmp_pack_x']
  for (const name of names) await git(root.layout.root, ['update-ref', name, root.commit])
  await look(root.layout)
  for (const name of names) expect(await git(root.layout.root, ['rev-parse', name])).toBe(root.commit)
})

test('where nothing is left over nothing is written and nothing is said', async () => {
  await using root = await publishedRoot()
  const before = await stat(root.layout.gitDir)
  expect(await look(root.layout)).toEqual([])
  expect((await stat(root.layout.gitDir)).mtimeMs).toBe(before.mtimeMs)
})
