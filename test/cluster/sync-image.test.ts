// The sync image as manifests run it: made for git-sync, without a right that they do not ask for.

import { existsSync } from 'node:fs'
import { chmod, chown, copyFile, mkdir, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { version } from '../../runtime/version.ts'
import {
  containersMissing,
  ourImage,
  runContainer,
  startContainer,
  type UnpackedImage,
  unpackImage,
} from '../support/containers.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import {
  createTestRepository,
  serveGitOverHttp,
  serveGitOverSsh,
  sshdMissing,
} from '../support/git-server.ts'

/** Packages of the image are fetched and unpacked in it, where it was not built before. */
const buildMs = 600_000
/** The image's own user and group, as git-sync's. */
const imageUser = 65533
/** Some other user, as a cluster's policy may choose. */
const otherUser = 12345
/** What a stop may take, as in a process of its own. */
const stopMs = 1000

const missing = containersMissing()
describe.skipIf(missing !== undefined)(
  `sync image${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let image: UnpackedImage

    beforeAll(async () => {
      image = await unpackImage(await ourImage('sync'))
    }, buildMs)
    afterAll(async () => {
      await image?.[Symbol.asyncDispose]()
    })

    test('its command, user, directories and variables are those of git-sync', () => {
      expect(image.config).toMatchObject({
        Entrypoint: ['/git-sync'],
        User: `${imageUser}:${imageUser}`,
        WorkingDir: '/tmp',
        Env: expect.arrayContaining(['HOME=/tmp', 'GITSYNC_ROOT=/git']),
      })
    })

    test('its labels say what it is', () => {
      const label = (name: string) => image.config.Labels[`org.opencontainers.image.${name}`]
      expect(label('title')).toBe('branchline-sync')
      expect(label('description')).toMatch(/git-sync/)
      expect(label('version')).toBe(version)
      expect(label('revision')).toMatch(/^[0-9a-f]{40}$/)
      expect(label('licenses')).toBe('Apache-2.0')
      expect(Date.parse(label('created')!)).toBeGreaterThan(Date.parse('2026-01-01'))
      expect(label('source')).toBeDefined()
    })

    test.each([imageUser, otherUser])('user %i gets the version', async (uid) => {
      const { code, stdout, stderr } = await runContainer({ image, uid, args: ['--version'] })
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: `${version}\n`,
        stderr: 'INFO: detected pid 1, running init handler\n',
      })
    })

    test('what was compiled for the image is used, and cannot be written', async () => {
      const env = { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }
      const { stdout, stderr } = await runContainer({ image, env, args: ['--version'] })
      expect(stdout + stderr).toMatch(/sync\.js was accepted/)
      const script =
        'for path in /usr/lib/branchline/compile-cache/*; do test -w "$path" || echo "$path"; done'
      const entrypoint = ['/bin/sh', '-c', script]
      const locked = await runContainer({ image, entrypoint, isRootReadOnly: false })
      expect(locked.stdout).toMatch(/compile-cache\/v\d+\..*-65533\n$/)
    })

    test('what hooks and git need is in it; what could give rights, and Perl, are not', async () => {
      const script = `set -e
      for tool in bash cat cp date grep sed sort true ssh node tini; do command -v $tool > /dev/null || echo no $tool; done
      cd "$(mktemp -d)" && git init --quiet && git submodule status
      git ls-remote https://127.0.0.1:1/x 2>&1 | grep -o 'unable to access' || true
      for tool in perl python3 apt-get dpkg su gpg curl; do ! command -v $tool || echo has $tool; done`
      const { code, stdout, stderr } = await runContainer({
        image,
        entrypoint: ['/bin/sh', '-c', script],
        isRootReadOnly: false,
      })
      expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'unable to access\n', stderr: '' })
    })

    test.each([imageUser, otherUser])(
      'user %i: an init container publishes, and a sidecar goes on from there',
      async (uid) => {
        await using volume = await createVolume(uid)
        await using repository = await createTestRepository()
        await using server = await serveGitOverHttp({
          folder: repository.folder,
          username: 'u',
          password: 'p',
        })
        const secrets = join(volume.path, 'password')
        await writeFile(secrets, 'p')
        const hook = join(volume.path, 'hook.sh')
        await writeFile(hook, '#!/bin/bash\necho "$GITSYNC_HASH $PWD" >> /git/hooked\n', { mode: 0o755 })
        const env = {
          GITSYNC_REPO: server.url('origin.git'),
          GITSYNC_USERNAME: 'u',
          GITSYNC_PASSWORD_FILE: '/etc/git-secret/password',
          GITSYNC_LINK: 'current',
          GITSYNC_EXECHOOK_COMMAND: '/hook.sh',
        }
        const mounts = { '/git': volume.git, '/hook.sh': hook, '/etc/git-secret/password': secrets }
        const link = join(volume.git, 'current')

        const first = await runContainer({ image, uid, env, mounts, args: ['--one-time'] })
        expect(first.stderr).toContain('INFO: detected pid 1, running init handler\n')
        expect(first).toMatchObject({ code: 0, stdout: '' })
        expect(await readFile(join(link, 'a.txt'), 'utf8')).toBe('one\n')

        const port = await freePort('127.0.0.1')
        await using sidecar = await startContainer({
          image,
          uid,
          env,
          mounts,
          args: ['--period=50ms', `--http-bind=127.0.0.1:${port}`, '--http-metrics'],
        })
        const isReady = async () =>
          (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.status === 200
        await eventually(`ready: ${sidecar.stderr()}`, isReady)

        const commit = await repository.commit({ 'a.txt': 'two\n' })
        await eventually('published', async () => basename(await readlink(link)) === commit)
        expect(await readFile(join(link, 'a.txt'), 'utf8')).toBe('two\n')
        const hooked = () => readFile(join(volume.git, 'hooked'), 'utf8').catch(() => '')
        await eventually('hook', async () =>
          (await hooked()).includes(`${commit} /git/.worktrees/${commit}\n`),
        )
        expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toContain(
          'git_sync_count_total',
        )

        const running = sidecar.processes()
        expect(running).toContain(sidecar.pid)
        const begin = performance.now()
        process.kill(sidecar.pid, 'SIGTERM')
        expect(await sidecar.exit).toBe(143)
        expect(performance.now() - begin).toBeLessThan(stopMs)
        expect(sidecar.processes()).toEqual([])
        expect(running.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([])
        expect(await readFile(join(link, 'a.txt'), 'utf8')).toBe('two\n')
      },
    )

    describe.skipIf(sshdMissing() !== undefined)('over SSH, as a user that the image does not know', () => {
      test('--add-user makes it known, where the root may be written', async () => {
        await using volume = await createVolume(otherUser)
        await using repository = await createTestRepository()
        await using server = await serveGitOverSsh()
        const mounts = { '/git': volume.git, '/etc/git-secret': await secretsFor(server, volume.path) }
        const args = [`--repo=${server.url(repository.path)}`, '--link=current', '--one-time']

        const unknown = await runContainer({ image, uid: otherUser, mounts, args })
        expect(unknown).toMatchObject({
          code: 1,
          stderr: expect.stringMatching(/No user exists for uid 12345/),
        })

        const locked = await runContainer({ image, uid: otherUser, mounts, args: [...args, '--add-user'] })
        expect(locked.code).toBe(1)
        expect(locked.stderr).toMatch(
          /cannot add user id 12345 to \/etc\/passwd: EROFS.*readOnlyRootFilesystem/,
        )

        const isRootReadOnly = false
        const added = await runContainer({
          image,
          uid: otherUser,
          mounts,
          args: [...args, '--add-user'],
          isRootReadOnly,
        })
        expect(added.stderr).not.toContain('"level":"error"')
        expect(added.code).toBe(0)
        expect(await readFile(join(volume.git, 'current/a.txt'), 'utf8')).toBe('one\n')
      })
    })
  },
)

/** A pod's volume, with room for its secrets beside it. */
async function createVolume(uid: number): Promise<AsyncDisposable & { path: string; git: string }> {
  const path = await mkdtemp(join(tmpdir(), 'branchline-volume-'))
  await chmod(path, 0o755)
  const git = join(path, 'git')
  await mkdir(git)
  await chown(git, uid, imageUser)
  return { path, git, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** As Kubernetes mounts a secret with `defaultMode: 0400` and an fsGroup: root's, and readable to the group. */
async function secretsFor(
  server: { keyFile: string; knownHostsFile: string },
  folder: string,
): Promise<string> {
  const secrets = join(folder, 'secrets')
  await mkdir(secrets)
  const files = { ssh: server.keyFile, known_hosts: server.knownHostsFile }
  for (const [name, source] of Object.entries(files)) {
    const file = join(secrets, name)
    await copyFile(source, file)
    await chmod(file, 0o440)
    await chown(file, 0, imageUser)
  }
  return secrets
}
