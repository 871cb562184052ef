// A push to a real remote while Dags run: a run that has begun finishes on its own commit, new ones take the new
// one, shown by what their tasks printed; and the old commit's files stay for as long as a run needs them.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createDeployment, type Deployment, dagsLoaded } from './support/deployment.ts'
import { eventually } from './support/eventually.ts'
import {
  createTestRepository,
  type PushOptions,
  serveGitOverHttp,
  serveGitOverSsh,
  sshdMissing,
  type TestRepository,
} from './support/git-server.ts'

/** Tasks of the chain; the one in the middle waits for the test's word. */
const taskCount = 10
const taskIds = Array.from({ length: taskCount }, (_, n) => `t${n}`)

/** A module whose tasks print a constant that is bundled with them, and a file that lies beside them. */
const modules = (revision: string) => ({
  'dags/long.ts': `
    import { existsSync, readFileSync } from 'node:fs'
    import { join } from 'node:path'
    import { chain, dag, task } from 'branchline'
    import { constant } from './helper.ts'

    export default dag('long', { defaults: { retries: 3, retryDelay: '10ms' } }, () => {
      chain(...Array.from({ length: ${taskCount} }, (_, n) => task('t' + n, async ({ runId, log, signal }) => {
        const file = readFileSync(join(import.meta.dirname, 'data.txt'), 'utf8').trim()
        log.info('helper ' + constant + ', file ' + file)
        while (n === ${taskCount / 2} && !existsSync(process.env.LEDGER + '-go-' + runId)) {
          await new Promise((done) => setTimeout(done, 10))
          signal.throwIfAborted()
        }
      })))
    })`,
  'dags/helper.ts': `export const constant = '${revision}'\n`,
  'dags/data.txt': `${revision}\n`,
})

interface Remote {
  url: string
  push: PushOptions
  syncArgs: string[]
  syncEnv?: Record<string, string>
}

/** What every task of a run printed, each text once. */
function printed(deployment: Deployment, runId: string): string[] {
  return [...new Set(taskIds.flatMap((id) => deployment.log('long', runId, id).map(({ msg }) => msg)))]
}

const liveCommit = async ({ db }: Deployment) =>
  (await db.query<{ commit_sha: string }>('select commit_sha from dag')).rows[0]?.commit_sha

async function runsThroughPushes(repository: TestRepository, remote: Remote): Promise<void> {
  await using deployment = await createDeployment({
    env: (directory) => ({ BRANCHLINE_SOURCE_PATH: join(directory, 'sync', 'current') }),
  })
  const root = join(deployment.directory, 'sync')
  const worktree = (commit: string) => join(root, '.worktrees', commit)
  const go = (runId: string) => writeFileSync(`${deployment.ledger}-go-${runId}`, '')
  const first = await repository.commit(modules('one'), remote.push)
  deployment.startProgram(
    'sync',
    [
      ...['--repo', remote.url, '--ref', 'main', '--root', root, '--link', 'current', '--period', '200ms'],
      ...['--stale-worktree-timeout', '0s', ...remote.syncArgs],
    ],
    remote.syncEnv,
  )
  deployment.startProgram('scheduler')
  await dagsLoaded(deployment)

  await deployment.trigger('long', 'before')
  await eventually('the middle of the run', () => deployment.log('long', 'before', 't5').length > 0)
  const second = await repository.commit(modules('two'), remote.push)
  await eventually('the second commit', async () => (await liveCommit(deployment)) === second)
  await deployment.trigger('long', 'after')
  await eventually('the middle of the second run', () => deployment.log('long', 'after', 't5').length > 0)
  // A third commit has come and gone before the first run goes on.
  const third = await repository.commit(modules('three'), remote.push)
  await eventually('the third commit', async () => (await liveCommit(deployment)) === third)
  expect([first, second].map((commit) => existsSync(worktree(commit)))).toEqual([true, true])

  for (const runId of ['before', 'after']) {
    go(runId)
    expect(await deployment.ended('long', runId)).toBe('success')
    expect(deployment.log('long', runId, 't9')).toHaveLength(1)
  }
  expect(printed(deployment, 'before')).toEqual(['helper one, file one'])
  expect(printed(deployment, 'after')).toEqual(['helper two, file two'])
  const attempts = (await deployment.attempts('long', 'before')).map(({ state }) => state)
  expect(attempts).toEqual(taskIds.map(() => 'success'))

  go('last')
  await deployment.trigger('long', 'last')
  expect(await deployment.ended('long', 'last')).toBe('success')
  expect(printed(deployment, 'last')).toEqual(['helper three, file three'])
  await eventually(
    'the removal of the worktrees that no run needs',
    () => ![first, second].some((commit) => existsSync(worktree(commit))),
    30_000,
  )
  expect(existsSync(worktree(third))).toBe(true)
}

test('behind an HTTP server with a password: runs finish on their commit while others are pushed', async () => {
  await using repository = await createTestRepository(modules('zero'))
  const [username, password] = ['reader', 'p@ss/w:rd +%20']
  await using server = await serveGitOverHttp({ folder: repository.folder, username, password })
  await runsThroughPushes(repository, {
    url: server.url('origin.git'),
    push: { url: server.urlWithPassword('origin.git') },
    syncArgs: ['--username', username],
    syncEnv: { GITSYNC_PASSWORD: password },
  })
})

describe.skipIf(sshdMissing() !== undefined)('behind sshd', () => {
  test('with a key: runs finish on their commit while others are pushed', async () => {
    await using repository = await createTestRepository(modules('zero'))
    await using server = await serveGitOverSsh()
    await runsThroughPushes(repository, {
      url: server.url(repository.path),
      push: {
        url: server.url(repository.path),
        env: {
          GIT_SSH_COMMAND: `ssh -i ${server.keyFile} -o UserKnownHostsFile=${server.knownHostsFile}`,
        },
      },
      syncArgs: [...['--ssh-key-file', server.keyFile], ...['--ssh-known-hosts-file', server.knownHostsFile]],
    })
  })
})
