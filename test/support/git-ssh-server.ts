// A Git remote behind an sshd of its own, with generated keys.
import { execFile, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'

const run = promisify(execFile)

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

/**
 * An sshd on a free port, with keys of its own; logs in whoever runs the tests.
 * @param address where it listens; default: the loopback address
 */
export async function serveGitOverSsh(address = '127.0.0.1'): Promise<GitSshServer> {
  const folder = await mkdtemp(join(tmpdir(), 'branchline-sshd-'))
  const key = async (name: string): Promise<string> => {
    const file = join(folder, name)
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file])
    return file
  }
  const [hostKey, keyFile, strangersKeyFile] = await Promise.all([key('host'), key('user'), key('stranger')])
  const port = await freePort(address)
  const config = join(folder, 'sshd_config')
  await writeFile(
    config,
    [
      `Port ${port}`,
      `ListenAddress ${address}`,
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
    `[${address}]:${port} ${(await readFile(`${file}.pub`, 'utf8')).trim()}\n`
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
  while (!(await accepts(port, address))) {
    if (sshd.exitCode !== null) throw new Error(`sshd ended: ${said}`)
  }
  return {
    url: (path) => `ssh://${userInfo().username}@${address}:${port}${path}`,
    keyFile,
    strangersKeyFile,
    knownHostsFile,
    wrongKnownHostsFile,
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function accepts(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address)
    const end = (isOpen: boolean) => () => {
      socket.destroy()
      setTimeout(() => resolve(isOpen), 20)
    }
    socket.once('connect', end(true)).once('error', end(false))
  })
}
