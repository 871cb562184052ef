// SSH by the options of the program: which keys it offers and which hosts it trusts, what of the environment's own
// SSH stays, submodules on servers of another kind, and a user id that the system does not know.
import { execFile } from 'node:child_process'
import { chmod, chown, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { programPath } from '../../runtime/programs.ts'
import {
  createTestRepository,
  type GitSshServer,
  git,
  serveGitOverHttp,
  serveGitOverSsh,
  sshdMissing,
  type TestRepository,
} from '../support/git-server.ts'
import { startSync, temporaryFolder } from './sync-process.ts'

const run = promisify(execFile)

const missing = sshdMissing()

test.runIf(missing !== undefined)('sshd is needed for the tests of SSH', ({ skip }) => {
  console.warn(missing)
  skip(missing)
})

describe.skipIf(missing !== undefined)('SSH', () => {
  let ssh: GitSshServer
  let repository: TestRepository
  beforeAll(async () => {
    ;[ssh, repository] = await Promise.all([serveGitOverSsh(), createTestRepository()])
  })
  afterAll(async () => {
    await ssh?.close()
    await repository?.close()
  })

  /** One sync; its exit code, log and error output. */
  async function syncOnce(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    await using root = await temporaryFolder()
    await using sync = startSync(
      ['--repo', ssh.url(repository.path), '--root', root.path, '--link', 'current', '--one-time', ...args],
      env,
    )
    const exitCode = await sync.exit
    const file = (name: string) => readFile(join(root.path, 'current', name), 'utf8').catch(() => undefined)
    return {
      exitCode,
      stderr: sync.stderr(),
      text: await file('a.txt'),
      inSubmodule: await file('sub/a.txt'),
    }
  }

  const hosts = () => ['--ssh-known-hosts-file', ssh.knownHostsFile]

  test('of several --ssh-key-file the one that fits is found, also behind one that is no file', async () => {
    const keys = ['/no/such/key', ssh.strangersKeyFile, ssh.keyFile].flatMap((key) => ['--ssh-key-file', key])
    expect(await syncOnce([...hosts(), ...keys])).toMatchObject({ exitCode: 0, text: 'one\n' })
  })

  test.for(['GITSYNC_SSH_KEY_FILE', 'GIT_SYNC_SSH_KEY_FILE', 'GIT_SSH_KEY_FILE'])(
    'several keys are separated by colons in $%s, and a flag replaces them',
    async (variable) => {
      const env = { [variable]: `${ssh.strangersKeyFile}:${ssh.keyFile}` }
      expect(await syncOnce(hosts(), env)).toMatchObject({ exitCode: 0 })
      expect(await syncOnce([...hosts(), '--ssh-key-file', ssh.strangersKeyFile], env)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('Permission denied'),
      })
    },
  )

  test('the variables of old charts switch known hosts off and on', async () => {
    const env = { GIT_SSH_KEY_FILE: ssh.keyFile, GIT_SYNC_SSH: 'true', GITSYNC_SSH: 'true' }
    expect(await syncOnce([], { ...env, GIT_KNOWN_HOSTS: 'false' })).toMatchObject({ exitCode: 0 })
    const known = { ...env, GIT_KNOWN_HOSTS: 'true', GITSYNC_SSH_KNOWN_HOSTS: 'false' }
    expect(await syncOnce([], { ...known, GIT_SSH_KNOWN_HOSTS_FILE: ssh.knownHostsFile })).toMatchObject({
      exitCode: 0,
    })
    expect(await syncOnce([], { ...known, GIT_SSH_KNOWN_HOSTS_FILE: ssh.wrongKnownHostsFile })).toMatchObject(
      {
        exitCode: 1,
        stderr: expect.stringContaining('Host key verification failed'),
      },
    )
  })

  test("the environment's own SSH command is kept, with keys, hosts and verbosity behind it", async () => {
    await using folder = await temporaryFolder()
    const [wrapper, noted] = [join(folder.path, 'my ssh'), join(folder.path, 'noted')]
    await writeFile(wrapper, `#!/bin/sh\necho "$@" >> '${noted}'\nexec ssh "$@"\n`, { mode: 0o755 })
    const keys = ['--ssh-key-file', ssh.strangersKeyFile, '--ssh-key-file', ssh.keyFile]
    const env = { GIT_SSH_COMMAND: `'${wrapper}' -o ConnectTimeout=9` }
    expect(await syncOnce([...hosts(), ...keys, '-v=7'], env)).toMatchObject({ exitCode: 0 })
    const [first] = (await readFile(noted, 'utf8')).split('\n')
    expect(first).toMatch(
      new RegExp(
        `^-o ConnectTimeout=9 -vv -i ${ssh.strangersKeyFile} -i ${ssh.keyFile} ` +
          `-o StrictHostKeyChecking=yes -o UserKnownHostsFile=${ssh.knownHostsFile} `,
      ),
    )
  })

  /** Makes `sub` of the repository a submodule, with the commit of another repository. */
  async function setSubmodule(url: string, other: TestRepository): Promise<void> {
    const commit = await git(other.path, ['rev-parse', 'main'])
    await mkdir(join(repository.clone, 'sub'), { recursive: true })
    await git(repository.clone, ['update-index', '--add', '--cacheinfo', `160000,${commit},sub`])
    await repository.commit({ '.gitmodules': `[submodule "sub"]\n\tpath = sub\n\turl = ${url}\n` })
  }

  test('a submodule on a server with a password gets that of --credential, and one over SSH the keys', async () => {
    await using other = await createTestRepository({ 'a.txt': 'in the submodule\n' })
    const user = { username: 'sub', password: 'p@ss w/rd' }
    await using http = await serveGitOverHttp({ folder: other.folder, ...user })
    await using outer = await serveGitOverHttp({
      folder: repository.folder,
      username: 'top',
      password: 'top',
    })
    const credential = ['--credential', JSON.stringify({ url: http.url('origin.git'), ...user })]
    const key = [...hosts(), '--ssh-key-file', ssh.keyFile]
    const expected = { exitCode: 0, text: 'one\n', inSubmodule: 'in the submodule\n' }

    await setSubmodule(http.url('origin.git'), other)
    expect(await syncOnce([...key, ...credential])).toMatchObject(expected)
    const refused = await syncOnce(key)
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('Authentication failed') })

    await setSubmodule(ssh.url(other.path), other)
    expect(await syncOnce([...key, '--repo', outer.urlWithPassword('origin.git')])).toMatchObject(expected)
  })

  test.skipIf(userInfo().uid !== 0)(
    'a user id that the system does not know may sync by --add-user, and not without it',
    async () => {
      await using folder = await temporaryFolder()
      const [passwd, key, root] = ['passwd', 'key', 'root'].map((name) => join(folder.path, name)) as [
        string,
        string,
        string,
      ]
      await chmod(folder.path, 0o755)
      await writeFile(passwd, `root:x:0:0:root:/root:/bin/sh\n`)
      await copyFile(ssh.keyFile, key)
      await mkdir(root)
      for (const path of [passwd, key, root]) await chown(path, 12_345, 12_345)
      await chmod(key, 0o400)
      const hostsFile = join(folder.path, 'known_hosts')
      await copyFile(ssh.knownHostsFile, hostsFile)
      const sync = (more: string[]) =>
        run(
          'unshare',
          [
            ...['--mount', 'sh', '-c', `mount --bind '${passwd}' /etc/passwd && exec setpriv "$@"`, 'sh'],
            ...['--reuid=12345', '--regid=12345', '--clear-groups'],
            ...[process.execPath, programPath('sync'), '--repo', ssh.url(repository.path), '--root', root],
            ...['--link=current', '--submodules=off', '--one-time', '--ssh-key-file', key],
            ...['--ssh-known-hosts-file', hostsFile, ...more],
          ],
          { env: { PATH: process.env.PATH } },
        ).then(
          () => 'done',
          (error) => String(error.stderr),
        )
      expect(await sync([])).toMatch(/No user exists for uid 12345/)
      expect(await sync(['--add-user'])).toBe('done')
      expect(await readFile(join(root, 'current', 'a.txt'), 'utf8')).toBe('one\n')
      expect(await readFile(passwd, 'utf8')).toMatch(/^git-sync:x:12345:12345::.+:\/sbin\/nologin$/m)
    },
  )
})
