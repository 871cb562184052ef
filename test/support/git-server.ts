// Real Git remotes for tests: a bare repository on disk, the same behind an HTTP server with a password (Git's
// own http-backend), and behind an sshd with generated keys. Each is closed by `close` or `await using`.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Without the configuration of whoever runs the tests. */
const gitEnvironment: NodeJS.ProcessEnv = {
  PATH: process.env.PATH,
  HOME: tmpdir(),
  LC_ALL: 'C',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: 'true',
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@example.com',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@example.com',
  GIT_TERMINAL_PROMPT: '0',
}

/** No packing behind the test's back: it would race with the next command, and with the removal of the folder. */
const quietly = [
  '-c',
  'safe.directory=*',
  '-c',
  'gc.auto=0',
  '-c',
  'maintenance.auto=false',
  '-c',
  'receive.autogc=false',
]

/** Runs git as a person at the test's side would; standard output without its last line break. */
export async function git(
  cwd: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const { stdout } = await run('git', [...quietly, ...args], {
    cwd,
    env: { ...gitEnvironment, ...env },
  })
  return stdout.replace(/\n$/, '')
}

/** A bare repository and a clone to commit in. */
export interface TestRepository extends AsyncDisposable {
  /** Folder that holds everything of it. */
  folder: string
  /** The bare repository. */
  path: string
  /** `file://` URL of it. */
  url: string
  /** The clone. */
  clone: string
  /** Writes files (null removes), commits and pushes to the branch; the commit's full hash. */
  commit(files: Record<string, string | null>, push?: PushOptions): Promise<string>
  close(): Promise<void>
}

export interface PushOptions {
  /** Default main. */
  branch?: string
  /** Where to push; default the bare repository on disk. */
  url?: string
  force?: boolean
  env?: NodeJS.ProcessEnv
}

/** A repository with one commit on `main` that holds `files`. */
export async function createTestRepository(
  files: Record<string, string> = { 'a.txt': 'one\n' },
): Promise<TestRepository> {
  const folder = await mkdtemp(join(tmpdir(), 'branchline-repo-'))
  const path = join(folder, 'origin.git')
  const clone = join(folder, 'clone')
  await git(folder, ['init', '--quiet', '--bare', '--initial-branch=main', path])
  await git(path, ['config', 'receive.autogc', 'false'])
  await git(folder, ['init', '--quiet', '--initial-branch=main', clone])
  const close = () => rm(folder, { recursive: true, force: true })
  const repository: TestRepository = {
    folder,
    path,
    url: `file://${path}`,
    clone,
    commit: async (changes, push = {}) => {
      for (const [name, text] of Object.entries(changes)) {
        const file = join(clone, name)
        await mkdir(dirname(file), { recursive: true })
        if (text === null) await rm(file)
        else await writeFile(file, text)
      }
      await git(clone, ['add', '--all'])
      await git(clone, ['commit', '--quiet', '--allow-empty', '--message', 'change'])
      const force = push.force ? ['--force'] : []
      const refspec = `HEAD:refs/heads/${push.branch ?? 'main'}`
      await git(clone, ['push', '--quiet', ...force, push.url ?? path, refspec], push.env)
      return git(clone, ['rev-parse', 'HEAD'])
    },
    close,
    [Symbol.asyncDispose]: close,
  }
  await repository.commit(files)
  return repository
}

export interface GitHttpServer extends AsyncDisposable {
  /** URL of a repository in the folder, without user info: `http://127.0.0.1:1234/origin.git`. */
  url(name: string): string
  /** The same with user and password in it. */
  urlWithPassword(name: string): string
  port: number
  /** Changes the password from the next request on. */
  setPassword(password: string): void
  /** Requests from now on are taken, and never answered. */
  hang(): void
  close(): Promise<void>
}

/** Serves every repository in a folder by smart HTTP, for reading and pushing, to one user with a password. */
export async function serveGitOverHttp(server: {
  folder: string
  username: string
  password: string
}): Promise<GitHttpServer> {
  let { password } = server
  let isHanging = false
  const children = new Set<ChildProcess>()
  const http = createServer((request, response) => {
    if (isHanging) return
    const expected = `Basic ${Buffer.from(`${server.username}:${password}`).toString('base64')}`
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end('who are you?\n')
      return
    }
    const child = runHttpBackend(server.folder, server.username, request, response)
    children.add(child)
    child.once('close', () => children.delete(child))
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const { port } = http.address() as AddressInfo
  const close = async (): Promise<void> => {
    for (const child of children) child.kill('SIGKILL')
    http.closeAllConnections()
    await new Promise((resolve) => http.close(resolve))
  }
  return {
    url: (name) => `http://127.0.0.1:${port}/${name}`,
    urlWithPassword: (name) =>
      `http://${encodeURIComponent(server.username)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${name}`,
    port,
    setPassword: (next) => {
      password = next
    },
    hang: () => {
      isHanging = true
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Git's own server program, spoken to by CGI (RFC 3875). */
function runHttpBackend(
  folder: string,
  username: string,
  request: IncomingMessage,
  response: ServerResponse,
): ChildProcess {
  const url = new URL(request.url ?? '/', 'http://server')
  const header = (name: string): string => String(request.headers[name] ?? '')
  const child = spawn('git', [...quietly, 'http-backend'], {
    env: {
      ...gitEnvironment,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: header('git-protocol'),
      REMOTE_USER: username,
      REMOTE_ADDR: '127.0.0.1',
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: header('content-type'),
      CONTENT_LENGTH: header('content-length'),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin.on('error', () => {})
  request.pipe(child.stdin)
  let head = Buffer.alloc(0)
  let isHeadDone = false
  child.stdout.on('data', (chunk: Buffer) => {
    if (isHeadDone) {
      response.write(chunk)
      return
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    isHeadDone = true
    let status = 200
    for (const line of head.subarray(0, end).toString('latin1').split('\r\n')) {
      const colon = line.indexOf(':')
      const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()]
      if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.writeHead(status)
    response.write(head.subarray(end + 4))
  })
  child.stdout.on('end', () => response.end())
  return child
}

const sshdPath = '/usr/sbin/sshd'

/** Why the tests that need sshd cannot run here; undefined where they can. */
export function sshdMissing(): string | undefined {
  try {
    accessSync(sshdPath, constants.X_OK)
    return undefined
  } catch {
    return `${sshdPath} is not installed (Debian: apt-get install openssh-server): SSH remotes are not tested here`
  }
}

export interface GitSshServer extends AsyncDisposable {
  /** `ssh://` URL of a repository by its absolute path. */
  url(path: string): string
  /** A private key that may log in. */
  keyFile: string
  /** A private key that may not. */
  strangersKeyFile: string
  knownHostsFile: string
  /** Known hosts with another key for this server. */
  wrongKnownHostsFile: string
  close(): Promise<void>
}

/** An sshd on a free port of the loopback address, with keys of its own; logs in whoever runs the tests. */
export async function serveGitOverSsh(): Promise<GitSshServer> {
  const folder = await mkdtemp(join(tmpdir(), 'branchline-sshd-'))
  const key = async (name: string): Promise<string> => {
    const file = join(folder, name)
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file])
    return file
  }
  const [hostKey, keyFile, strangersKeyFile] = await Promise.all([key('host'), key('user'), key('stranger')])
  const port = await freePort()
  const config = join(folder, 'sshd_config')
  await writeFile(
    config,
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${keyFile}.pub`,
      'PidFile none',
      'UsePAM no',
      'StrictModes no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'AcceptEnv GIT_PROTOCOL',
    ].join('\n'),
  )
  // sshd refuses to start as root without its folder, which the system makes only for its own service.
  if (userInfo().uid === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
  const knownHostsFile = join(folder, 'known_hosts')
  const wrongKnownHostsFile = join(folder, 'wrong_known_hosts')
  const hostLine = async (file: string) =>
    `[127.0.0.1]:${port} ${(await readFile(`${file}.pub`, 'utf8')).trim()}\n`
  await writeFile(knownHostsFile, await hostLine(hostKey))
  await writeFile(wrongKnownHostsFile, await hostLine(strangersKeyFile))

  const sshd = spawn(sshdPath, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  sshd.stderr.on('data', (chunk) => {
    said += chunk
  })
  const exited = new Promise<void>((resolve) => sshd.once('exit', () => resolve()))
  const close = async (): Promise<void> => {
    sshd.kill('SIGKILL')
    await exited
    await rm(folder, { recursive: true, force: true })
  }
  while (!(await accepts(port))) {
    if (sshd.exitCode !== null) throw new Error(`sshd ended: ${said}`)
  }
  return {
    url: (path) => `ssh://${userInfo().username}@127.0.0.1:${port}${path}`,
    keyFile,
    strangersKeyFile,
    knownHostsFile,
    wrongKnownHostsFile,
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function freePort(): Promise<number> {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (isOpen: boolean) => () => {
      socket.destroy()
      setTimeout(() => resolve(isOpen), 20)
    }
    socket.once('connect', end(true)).once('error', end(false))
  })
}
