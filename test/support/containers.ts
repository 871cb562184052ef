// Containers for tests without a daemon: images by buildah, run by runc as an orchestrator's node would run them,
// with the user, capabilities and root file system that a pod's security context sets. They share this machine's
// network, so that servers of the tests are reached at 127.0.0.1.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { eventually } from './eventually.ts'

const run = promisify(execFile)

/** What installs the tools on Debian. */
const packages = 'apt-get install --no-install-recommends buildah debootstrap runc'

/** Why no containers can be built and run here; undefined where they can. */
export function containersMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'containers are built and run as root here'
  for (const tool of ['buildah', 'debootstrap', 'runc']) {
    if (spawnSync(tool, ['--version']).error) return `${tool} is not installed (Debian: ${packages})`
  }
  return undefined
}

/** Name of an image of ours: the one that test/cluster/run has built for this run; without it, one that is built now. */
export async function ourImage(name: 'sync' | 'worker'): Promise<string> {
  const built = process.env[`TEST_${name.toUpperCase()}_IMAGE`]
  if (built !== undefined) return built
  const image = `localhost/branchline-${name}:test`
  const script = resolve(import.meta.dirname, `../../images/build-${name}`)
  console.log((await run(script, [image])).stdout.trim())
  return image
}

/** Builds an image of a Dockerfile's text, as users build on ours; nothing is copied into it. */
export async function buildImage(image: string, dockerfile: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'branchline-image-'))
  try {
    await writeFile(join(folder, 'Dockerfile'), dockerfile)
    await run('buildah', ['build', '--isolation', 'chroot', '--pull-never', '--tag', image, folder])
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Removes an image from buildah's store. */
export async function removeImage(image: string): Promise<void> {
  await run('buildah', ['rmi', image])
}

/** An image, unpacked once for any number of containers. */
export interface UnpackedImage extends AsyncDisposable {
  /** As OCI's image specification has it. */
  config: {
    User: string
    Env: string[]
    Entrypoint: string[]
    WorkingDir: string
    Labels: Record<string, string>
    Volumes?: Record<string, object>
  }
  /** Where the root file system is mounted. What a container writes there, the next one finds. */
  path: string
}

/** Mounts the root file system of an image in buildah's store. */
export async function unpackImage(image: string): Promise<UnpackedImage> {
  const { stdout: inspected } = await run('buildah', ['inspect', '--type', 'image', image])
  const container = (await run('buildah', ['from', '--pull-never', image])).stdout.trim()
  const path = (await run('buildah', ['mount', container])).stdout.trim()
  return {
    config: JSON.parse(inspected).OCIv1.config,
    path,
    [Symbol.asyncDispose]: async () => {
      await run('buildah', ['rm', container])
    },
  }
}

export interface ContainerOptions {
  image: UnpackedImage
  /** In place of the image's. */
  entrypoint?: readonly string[]
  args?: readonly string[]
  /** Beside the image's. */
  env?: Readonly<Record<string, string>>
  /** Default the image's; the group is the image's in any case, as in a pod that sets runAsUser alone. */
  uid?: number
  /** Path in the container → directory or file of this machine. */
  mounts?: Readonly<Record<string, string>>
  /** Default true. */
  isRootReadOnly?: boolean
}

export interface Container extends AsyncDisposable {
  /** Of the container's pid 1, as it is seen from outside. */
  pid: number
  stdout(): string
  stderr(): string
  /** Log lines so far. */
  lines(): Record<string, unknown>[]
  /** Resolves with the first log line that has this message, from now on or before. */
  logged(message: string): Promise<Record<string, unknown>>
  /** Processes that run in it, as ids of this machine. */
  processes(): number[]
  /** Exit code, or 128 + the signal's number. */
  exit: Promise<number>
}

/** Starts a container with no capabilities and no way to gain any; it runs when this resolves, or has ended. */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const bundle = await mkdtemp(join(tmpdir(), 'branchline-container-'))
  await writeFile(join(bundle, 'config.json'), JSON.stringify(runtimeSpec(options), undefined, 2))
  const pidFile = join(bundle, 'pid')
  const runc = ['--root', join(bundle, 'state')]
  const id = `branchline-${randomUUID()}`
  const child = spawn('runc', [...runc, 'run', '--bundle', bundle, '--pid-file', pidFile, id], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = collect(child)
  const exit = new Promise<number>((done) => child.once('close', (code) => done(code ?? 137)))
  const pid = await eventually(`the container starts: ${output.stderr}`, () => {
    try {
      return Number(readFileSync(pidFile, 'utf8'))
    } catch {
      if (child.exitCode !== null) throw new Error(`runc ended with ${child.exitCode}: ${output.stderr}`)
      return undefined
    }
  })
  const namespace = namespaceOf(pid)
  const lines = () =>
    output.stderr
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line): Record<string, unknown> => JSON.parse(line))
  return {
    pid,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    lines,
    logged: (message) =>
      eventually(`log line ${JSON.stringify(message)}`, () => {
        const found = lines().find((line) => line.msg === message)
        if (found === undefined && child.exitCode !== null) throw new Error(`it ended: ${output.stderr}`)
        return found
      }),
    processes: () =>
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
        .filter((other) => namespace !== undefined && namespaceOf(other) === namespace),
    exit,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null) await run('runc', [...runc, 'kill', id, 'KILL']).catch(() => {})
      await exit
      await run('runc', [...runc, 'delete', '--force', id])
      await rm(bundle, { recursive: true, force: true })
    },
  }
}

/** Runs a container to its end. */
export async function runContainer(
  options: ContainerOptions,
): Promise<{ code: number; stdout: string; stderr: string }> {
  await using container = await startContainer(options)
  const code = await container.exit
  return { code, stdout: container.stdout(), stderr: container.stderr() }
}

/** OCI's runtime specification of a container with the namespaces of a pod's, but for its network. */
function runtimeSpec(options: ContainerOptions): object {
  const { config, path } = options.image
  const [uid, gid] = config.User.split(':').map(Number) as [number, number]
  const env = Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`)
  const volatile = ['nosuid', 'noexec', 'nodev']
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: options.uid ?? uid, gid },
      args: [...(options.entrypoint ?? config.Entrypoint), ...(options.args ?? [])],
      env: [...config.Env, ...env],
      cwd: config.WorkingDir,
      capabilities: { bounding: [], effective: [], permitted: [], ambient: [] },
      noNewPrivileges: true,
    },
    root: { path, readonly: options.isRootReadOnly ?? true },
    hostname: 'container',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', 'ro', ...volatile] },
      ...Object.entries(options.mounts ?? {}).map(([destination, source]) => ({
        destination,
        type: 'none',
        source,
        options: ['bind', 'rw'],
      })),
    ],
    linux: { namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
  }
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' }
  child.stdout!.on('data', (chunk) => {
    output.stdout += chunk
  })
  child.stderr!.on('data', (chunk) => {
    output.stderr += chunk
  })
  return output
}

/** Names the process id namespace of a process; undefined where it is gone. */
function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined
  }
}
