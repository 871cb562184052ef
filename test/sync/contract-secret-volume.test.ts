// A Secret mounted at /etc/git-secret, as most manifests have it: the paths there are defaults, so no option names
// them. The program runs in a mount namespace of its own, with a copy of /etc.
import { execFile, spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { programPath } from '../../runtime/programs.ts'
import { serveGuardedGit } from '../support/credential-servers.ts'
import { createTestRepository, serveGitOverSsh, sshdMissing } from '../support/git-server.ts'
import { temporaryFolder } from './sync-process.ts'

const run = promisify(execFile)

/** `$1` holds `etc`, where the copy is made, and `git-secret`; the rest is the command. */
const withSecret = `
set -e
mount -t tmpfs none "$1/etc"
cp -a /etc/. "$1/etc/"
cp -a "$1/git-secret" "$1/etc/git-secret"
mount --bind "$1/etc" /etc
shift
exec "$@"
`

const missing = spawnSync('unshare', ['--mount', 'true']).status !== 0
const because = missing ? ' (skipped: no mount namespace can be made: root and util-linux are needed)' : ''

interface Mounted extends AsyncDisposable {
  /** Where to write what is mounted. */
  secret: string
  root: string
  /** One sync; its exit code and error output. */
  sync(args: string[], env?: NodeJS.ProcessEnv): Promise<{ exitCode: number; stderr: string }>
}

async function secretVolume(): Promise<Mounted> {
  const folder = await temporaryFolder()
  const [etc, secret, root] = ['etc', 'git-secret', 'root'].map((name) => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  await mkdir(etc)
  await mkdir(secret)
  return {
    secret,
    root,
    sync: async (args, env = {}) => {
      const program = [
        process.execPath,
        programPath('sync'),
        '--root',
        root,
        '--link',
        'current',
        '--one-time',
      ]
      const command = ['--mount', 'sh', '-c', withSecret, 'sh', folder.path, ...program, ...args]
      return run('unshare', command, { env: { PATH: process.env.PATH, ...env } }).then(
        ({ stderr }) => ({ exitCode: 0, stderr }),
        (error) => ({ exitCode: error.code, stderr: error.stderr }),
      )
    },
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
  }
}

describe.skipIf(missing)(`in /etc/git-secret${because}`, () => {
  test.skipIf(sshdMissing() !== undefined)('ssh and known_hosts are the key and the hosts', async () => {
    await using ssh = await serveGitOverSsh()
    await using repository = await createTestRepository()
    await using volume = await secretVolume()
    const repo = ['--repo', ssh.url(repository.path)]
    expect(await volume.sync(repo)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('Host key verification failed'),
    })
    await copyFile(ssh.knownHostsFile, join(volume.secret, 'known_hosts'))
    expect(await volume.sync(repo)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('Permission denied'),
    })
    await copyFile(ssh.keyFile, join(volume.secret, 'ssh'))
    await chmod(join(volume.secret, 'ssh'), 0o400)
    expect(await volume.sync(repo)).toMatchObject({ exitCode: 0 })
    expect(await readFile(join(volume.root, 'current', 'a.txt'), 'utf8')).toBe('one\n')
  })

  test.for([
    ['--cookie-file', ['--cookie-file'], {}],
    ['$GIT_COOKIE_FILE', [], { GIT_COOKIE_FILE: 'true' }],
  ] as const)('cookie_file is what git sends with %s', async ([, args, env]) => {
    await using repository = await createTestRepository()
    const user = { username: 'u', password: 'p' }
    await using server = await serveGuardedGit({ folder: repository.folder, users: { '/': user } })
    await using volume = await secretVolume()
    const cookie = '127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tcookie-value\n'
    await writeFile(join(volume.secret, 'cookie_file'), cookie)
    const repo = `${server.origin.replace('//', '//u:p@')}/origin.git`
    expect(await volume.sync(['--repo', repo, ...args], env)).toMatchObject({ exitCode: 0 })
    expect(server.cookies).toContain('session=cookie-value')
  })
})
