// The worker image as pods run it: as its own user or as one that the cluster chooses, with a root file system that
// cannot be written and without a capability; and as users build on it.
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { version } from '../../runtime/version.ts'
import {
  buildImage,
  containersMissing,
  ourImage,
  removeImage,
  runContainer,
  startContainer,
  type UnpackedImage,
  unpackImage,
} from '../support/containers.ts'
import { eventually } from '../support/eventually.ts'

/** The image's own user, which is Airflow's too. */
const imageUser = 50000
/** One that a cluster's policy chooses, as OpenShift does; its group is 0. */
const otherUser = 1000650000
/** Packages of the image are fetched and unpacked in it, where it was not built before. */
const buildMs = 600_000

const missing = containersMissing()
describe.skipIf(missing !== undefined)(
  `worker image${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let name: string
    let image: UnpackedImage

    beforeAll(async () => {
      name = await ourImage('worker')
      image = await unpackImage(name)
    }, buildMs)
    afterAll(async () => {
      await image?.[Symbol.asyncDispose]()
    })

    const shell = (script: string, more: { uid?: number; isRootReadOnly?: boolean } = {}) =>
      runContainer({ image, entrypoint: ['/bin/sh', '-c', script], ...more })

    test('an init runs the command `branchline`, as a user without rights', () => {
      expect(image.config).toMatchObject({
        Entrypoint: ['/usr/bin/tini', '--', '/usr/local/bin/branchline'],
        User: `${imageUser}:0`,
        WorkingDir: '/opt/branchline',
        Env: expect.arrayContaining(['HOME=/tmp']),
      })
    })

    test('its labels say what it is', () => {
      const label = (title: string) => image.config.Labels[`org.opencontainers.image.${title}`]
      expect(label('title')).toBe('branchline-worker')
      expect(label('version')).toBe(version)
      expect(label('revision')).toMatch(/^[0-9a-f]{40}$/)
      expect(label('licenses')).toBe('Apache-2.0')
    })

    test.each([imageUser, otherUser])('user %i gets the version', async (uid) => {
      expect(await runContainer({ image, uid, args: ['--version'] })).toEqual({
        code: 0,
        stdout: `${version}\n`,
        stderr: '',
      })
    })

    test('what was compiled for the image is used, and cannot be written', async () => {
      const env = { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }
      const { stdout, stderr } = await runContainer({ image, env, args: ['--version'] })
      expect(stdout + stderr).toMatch(/branchline\.js was accepted/)
      const writable = await shell('find /usr /etc /opt -writable -not -type l 2> /dev/null', {
        isRootReadOnly: false,
      })
      expect(writable.stdout).toBe('/opt/branchline\n')
    })

    test.each([imageUser, otherUser])('user %i writes where a pod mounts something', async (uid) => {
      await using volume = await createVolume(uid)
      const { code, stdout, stderr } = await runContainer({
        image,
        uid,
        entrypoint: ['/bin/sh', '-c', 'cd && pwd && echo x > file && cat file && ! touch /opt/branchline/x'],
        mounts: { '/tmp': volume.path },
      })
      expect({ code, stdout }).toEqual({ code: 0, stdout: '/tmp\nx\n' })
      expect(stderr).toMatch(/Read-only file system/)
    })

    test('it has what a shell, Node and apt need; no git, no npm, no compiler, nothing that gives rights', async () => {
      const script = `for tool in sh bash node branchline tini apt-get; do command -v $tool > /dev/null || echo no $tool; done
      for tool in git npm npx yarn corepack gcc cc make python3 curl wget ssh; do ! command -v $tool || echo has $tool; done
      find / -xdev -perm /6000 -type f 2> /dev/null || true`
      expect(await shell(script)).toEqual({ code: 0, stdout: '', stderr: '' })
    })

    test('SIGTERM reaches the command, and the container ends', async () => {
      const script =
        'process.on("SIGTERM", () => process.exit(7)); setInterval(() => {}, 1e6); console.log("up")'
      const entrypoint = ['/usr/bin/tini', '--', 'node', '-e', script]
      await using container = await startContainer({ image, entrypoint })
      await eventually('it is up', () => container.stdout() === 'up\n')
      process.kill(container.pid, 'SIGTERM')
      expect(await container.exit).toBe(7)
    })

    test('an image that users build on it has their packages and files, and runs as before', async () => {
      const derived = `${name}-derived`
      await buildImage(
        derived,
        `FROM ${name}
USER root
RUN dpkg --verify tini && apt-get --version && mkdir -p /opt/branchline/dags && echo hello > /opt/branchline/dags/file
USER ${imageUser}:0
`,
      )
      try {
        await using unpacked = await unpackImage(derived)
        const seen = await runContainer({ image: unpacked, entrypoint: ['/bin/cat', 'dags/file'] })
        expect(seen).toMatchObject({ code: 0, stdout: 'hello\n' })
        const started = await runContainer({ image: unpacked, args: ['--version'] })
        expect(started).toMatchObject({ code: 0, stdout: `${version}\n` })
      } finally {
        await removeImage(derived)
      }
    })
  },
)

/** A pod's emptyDir. */
async function createVolume(uid: number): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'branchline-volume-'))
  await chmod(path, 0o770)
  await chown(path, uid, 0)
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
