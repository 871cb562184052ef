// Hooks by the whole program: what they may do in a worktree, when they are sent again, and what their failure
// does, in a running sync and in a one-time one.
import { existsSync } from 'node:fs'
import { appendFile, chmod, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, serveGitOverHttp, type TestRepository } from '../support/git-server.ts'
import { createRecordingGit, processesWith, publishes } from './observers.ts'
import { publishedCommit, type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
let files: Awaited<ReturnType<typeof temporaryFolder>>
/** Where hooks of these tests write. */
let seen: string
beforeEach(async () => {
  repository = await createTestRepository()
  files = await temporaryFolder()
  seen = join(files.path, 'seen')
})
afterEach(async () => {
  await repository?.close()
  await files?.[Symbol.asyncDispose]()
})

const linkOf = (root: string): string => join(root, 'current')
const push = (): Promise<string> => repository.commit({ 'a.txt': `${Math.random()}\n` })
const newest = (): Promise<string> => git(repository.clone, ['rev-parse', 'HEAD'])
const lines = async (): Promise<string[]> =>
  (await readFile(seen, 'utf8').catch(() => '')).split('\n').filter(Boolean)

function start(root: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): SyncProcess {
  const where = ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current']
  return startSync([...where, '--period', '30ms', '--error-file', 'error', ...args], env)
}

async function script(body: string, name = 'hook'): Promise<string> {
  const path = join(files.path, name)
  await writeFile(path, `#!/bin/sh\n${body}\n`)
  await chmod(path, 0o755)
  return path
}

interface Receiver extends AsyncDisposable {
  url: string
  requests: string[]
  /** The answers to come, first to last; the last stays. */
  statuses: number[]
}

async function serveWebhook(...statuses: number[]): Promise<Receiver> {
  const requests: string[] = []
  const receiver = { requests, statuses }
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.headers['gitsync-hash']}`)
    response
      .writeHead(receiver.statuses.length > 1 ? receiver.statuses.shift()! : receiver.statuses[0]!)
      .end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/told`
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { ...receiver, url, [Symbol.asyncDispose]: close }
}

describe('an exechook', () => {
  test('uses git in its worktree: history, archive, submodules, and its remote with the credentials', async () => {
    const user = { username: 'reader', password: 'p@ss w:rd' }
    await using http = await serveGitOverHttp({ folder: repository.folder, ...user })
    const hook = await script(
      [
        'set -eu',
        'git log -1 --format="log %H"',
        'git archive HEAD | tar -t | sed "s/^/archive /"',
        'git submodule status',
        'git status --porcelain | sed "s/^/status /"',
        'git ls-remote origin refs/heads/main | sed "s/^/remote /"',
        'git fetch --quiet --depth=1 origin main && echo fetched',
        `printf 'url=%s\\n\\n' "$(git remote get-url origin)" | git credential fill | grep ^username`,
      ].join('\n'),
    )
    const wrapped = await script(`"${hook}" >> ${seen} 2>&1; echo "exit $?" >> ${seen}`, 'wrapped')
    await using root = await temporaryFolder()
    const args = ['--repo', http.url('origin.git'), '--username', user.username]
    await using sync = start(root.path, [...args, '--exechook-command', wrapped], {
      GITSYNC_PASSWORD: user.password,
    })
    const commit = await newest()
    await eventually(`the hook ${sync.stderr()}`, async () => (await lines()).at(-1)?.startsWith('exit'))
    expect(await lines()).toEqual([
      `log ${commit}`,
      'archive a.txt',
      `remote ${commit}\trefs/heads/main`,
      'fetched',
      'username=reader',
      'exit 0',
    ])
    const next = await push()
    await publishes(linkOf(root.path), next, sync)
  })

  test('is a file of the repository where its path says so, at each commit its own', async () => {
    await repository.commit({ 'bin/hook': `#!/bin/sh\necho "one $GITSYNC_HASH $MINE $0" >> ${seen}\n` })
    await git(repository.clone, ['update-index', '--chmod=+x', 'bin/hook'])
    await chmod(join(repository.clone, 'bin/hook'), 0o755)
    const first = await repository.commit({})
    await using root = await temporaryFolder()
    await using sync = start(root.path, ['--exechook-command', './bin/hook'], { MINE: 'inherited' })
    await eventually(`the hook ${sync.stderr()}`, async () => (await lines()).length === 1)
    await appendFile(join(repository.clone, 'bin/hook'), `echo two >> ${seen}\n`)
    const second = await repository.commit({})
    await eventually('the next', async () => (await lines()).length === 3)
    expect((await lines()).map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      `one ${first} inherited`,
      `one ${second} inherited`,
      'two',
    ])
  })

  test('that is slower than commits come runs for the first and the last of them', async () => {
    const gate = join(files.path, 'gate')
    const body = `echo "$GITSYNC_HASH" >> ${seen}; while ! test -e ${gate}; do sleep 0.02; done; cat a.txt`
    await using root = await temporaryFolder()
    await using sync = start(root.path, ['--exechook-command', await script(body)])
    const first = await newest()
    await eventually('the hook', async () => (await lines()).length === 1)
    let last = ''
    for (let count = 0; count < 4; count += 1) {
      last = await push()
      await publishes(linkOf(root.path), last, sync)
    }
    expect(existsSync(join(root.path, '.worktrees', first)), 'the worktree that it runs in').toBe(true)
    await writeFile(gate, '')
    await eventually('the last', async () => (await lines()).length === 2)
    expect(await lines()).toEqual([first, last])
    await eventually('no old worktree', () => !existsSync(join(root.path, '.worktrees', first)))
    expect(sync.stderr()).not.toContain('hook failed')
  })

  test('that fails is run again after its backoff, and hinders no commit', async () => {
    const mend = join(files.path, 'mend')
    const hook = await script(`echo "$GITSYNC_HASH" >> ${seen}; test -e ${mend} || exit 3`)
    await using root = await temporaryFolder()
    await using sync = start(root.path, ['--exechook-command', hook, '--exechook-backoff', '1s'])
    const failure = await sync.logged('hook failed')
    expect(failure.error).toContain('exit code 3')
    const second = await push()
    await publishes(linkOf(root.path), second, sync)
    await writeFile(mend, '')
    await eventually('the hook again', async () => (await lines()).length === 2)
    expect((await lines()).at(-1)).toBe(second)
    await eventually('no error file', () => !existsSync(join(root.path, 'error')))
    const third = await push()
    await eventually('the third', async () => (await lines()).at(-1) === third)
  })

  test('that hangs is ended with its children by --exechook-timeout', async () => {
    const mark = `77${process.pid}.5`
    const hook = await script(`echo run >> ${seen}; sleep ${mark} & sleep ${mark}`)
    await using root = await temporaryFolder()
    await using sync = start(root.path, [
      ...['--exechook-command', hook, '--exechook-timeout', '1s', '--exechook-backoff', '1h'],
    ])
    expect((await sync.logged('hook failed')).error).toContain('timeout')
    expect(await processesWith(`sleep ${mark}`)).toEqual([])
    expect(await lines()).toEqual(['run'])
  })
})

describe('a webhook', () => {
  test('that is not answered as wanted is sent again, with the newest commit', async () => {
    await using receiver = await serveWebhook(500, 200)
    await using root = await temporaryFolder()
    await using sync = start(root.path, ['--webhook-url', receiver.url, '--webhook-backoff', '1s'])
    const first = await newest()
    await sync.logged('hook failed')
    const second = await push()
    await publishes(linkOf(root.path), second, sync)
    await eventually('a second request', () => receiver.requests.length === 2)
    expect(receiver.requests).toEqual([`POST ${first}`, `POST ${second}`])
    const third = await push()
    await eventually('a third request', () => receiver.requests.at(-1) === `POST ${third}`)
  })

  test.for(['0', '-1'])(
    'is sent once whatever the answer, with --webhook-success-status=%s',
    async (status) => {
      await using receiver = await serveWebhook(500)
      await using root = await temporaryFolder()
      const args = ['--webhook-url', receiver.url, `--webhook-success-status=${status}`]
      await using recorder = await temporaryFolder()
      const recording = await createRecordingGit(recorder.path)
      await using sync = start(root.path, [...args, '--webhook-method', 'GET', '--git', recording.path])
      await eventually('the request', () => receiver.requests.length === 1)
      await recording.polled(5)
      expect(receiver.requests).toEqual([`GET ${await newest()}`])
      expect(sync.stderr()).not.toContain('hook failed')
    },
  )
})

describe('in a one-time sync', () => {
  test.for<[string, (failing: string, url: string) => string[]]>([
    ['exechook', (failing) => ['--exechook-command', failing]],
    ['pre-publish-exechook', (failing) => ['--pre-publish-exechook-command', failing]],
    ['webhook', (_, url) => ['--webhook-url', url]],
  ])(
    'a failing %s is tried once and ends it with 1; the others run, and the commit is published',
    async ([name, failing]) => {
      await using receiver = await serveWebhook(name === 'webhook' ? 503 : 200)
      await using root = await temporaryFolder()
      const ok = await script(`echo ok >> ${seen}`)
      const bad = await script(`echo bad >> ${seen}; exit 1`, 'bad')
      const all = [
        '--exechook-command',
        ok,
        '--pre-publish-exechook-command',
        ok,
        '--webhook-url',
        receiver.url,
      ]
      await using sync = start(root.path, [...all, '--one-time', ...failing(bad, receiver.url)])
      expect(await sync.exit).toBe(1)
      expect(await publishedCommit(linkOf(root.path))).toBe(await newest())
      expect(await lines()).toHaveLength(2)
      expect(receiver.requests).toHaveLength(1)
      const failures = sync.lines().filter(({ msg }) => msg === 'hook failed')
      expect(failures.map(({ logger }) => logger)).toEqual([name])
      expect(JSON.parse(await readFile(join(root.path, 'error'), 'utf8'))).toMatchObject({
        Msg: 'hook failed',
      })
      await using again = start(root.path, [...all.slice(0, 4), '--one-time'])
      expect(await again.exit).toBe(0)
      expect(await lines(), 'the pre-publish hook only where something is published').toHaveLength(3)
      expect(existsSync(join(root.path, 'error'))).toBe(false)
    },
  )

  test('it waits for hooks that are slow', async () => {
    const hook = await script(`sleep 0.5; echo done >> ${seen}`)
    await using root = await temporaryFolder()
    await using sync = start(root.path, [
      ...['--one-time', '--exechook-command', hook, '--pre-publish-exechook-command', hook],
    ])
    expect(await sync.exit).toBe(0)
    expect(await lines()).toEqual(['done', 'done'])
  })
})

test('runs of hooks are counted by name and status', async () => {
  await using receiver = await serveWebhook(500, 200)
  await using root = await temporaryFolder()
  const hook = await script('true')
  await using sync = start(root.path, [
    ...['--exechook-command', hook, '--pre-publish-exechook-command', hook, '--webhook-url', receiver.url],
    ...['--webhook-backoff', '1s', '--http-bind', '127.0.0.1:0', '--http-metrics'],
  ])
  const { port } = (await sync.logged('serving HTTP')) as { port: number }
  const counts = async (): Promise<string[]> =>
    (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text())
      .split('\n')
      .filter((line) => line.startsWith('git_sync_hook_run_count_total'))
      .sort()
  await eventually('all of them', async () => (await counts()).length === 4)
  expect(await counts()).toEqual(
    ['exechook,success', 'pre-publish-exechook,success', 'webhook,error', 'webhook,success'].map((row) => {
      const [name, status] = row.split(',')
      return `git_sync_hook_run_count_total{name="${name}",status="${status}"} 1`
    }),
  )
})
