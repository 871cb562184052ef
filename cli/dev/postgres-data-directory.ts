// Makes a Postgres data directory: initdb, then, in single-user mode and before anything listens, the role's
// password and the database. All of it happens in `data.new`, which is renamed when it is whole, so that a
// killed first start leaves nothing that looks like a database.
//
// Under root on Linux, Postgres gets the directory as an open descriptor and names it /proc/self/fd/3: its user
// then need not be able to traverse the folders above it, as in a project below /root (mode 0700).
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { EmbeddedPostgresError } from '../../runtime/errors.ts'
import type { PostgresBinaries } from './postgres-binaries.ts'
import type { UnixUser } from './postgres-user.ts'

/** Role and database of the embedded server. */
export const postgresRole = 'branchline'
export const postgresDatabase = 'branchline'

/** In the data directory, so that password and role live and die together; mode 0600. */
const passwordFile = 'branchline_password'

/** Only this machine, only with the password: other users of the machine reach the port too. */
const hostBasedAuthentication = `# Written once by branchline dev.
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
`

/** Opens the data directory for a child that runs as `user`; give `fd` as the child's descriptor 3. */
export async function openDataDirectory(
  dataDirectory: string,
  user: UnixUser | undefined,
): Promise<{ fd: number | 'ignore'; path: string; [Symbol.asyncDispose](): Promise<void> }> {
  if (user === undefined || process.platform !== 'linux') {
    return { fd: 'ignore', path: dataDirectory, [Symbol.asyncDispose]: async () => {} }
  }
  const handle = await open(dataDirectory, 'r')
  return { fd: handle.fd, path: '/proc/self/fd/3', [Symbol.asyncDispose]: () => handle.close() }
}

/** What a child that runs Postgres sees of our environment: nothing of PG*, no locale but C. */
export function postgresProcessOptions(user: UnixUser | undefined) {
  return {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    ...(user && { uid: user.uid, gid: user.gid }),
  }
}

/**
 * Makes the data directory unless it exists.
 * @param isDurable false: its files are not synced to the disk, for a server that runs without fsync anyway
 * @throws EmbeddedPostgresError where it is of another major version or no data directory, or initdb fails
 */
export async function ensureDataDirectory(
  dataDirectory: string,
  binaries: PostgresBinaries,
  user: UnixUser | undefined,
  isDurable: boolean,
): Promise<'made' | 'found'> {
  if ((await stat(dataDirectory).catch(() => undefined)) !== undefined) {
    await checkVersion(dataDirectory, binaries.majorVersion)
    return 'found'
  }
  const unfinished = `${dataDirectory}.new`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true, mode: 0o700 })
  if (user !== undefined) await chown(unfinished, user.uid, user.gid)
  await using directory = await openDataDirectory(unfinished, user)
  const runOn = (program: string, args: string[], input: string) =>
    runToEnd(program, args, input, directory.fd, user)

  await runOn(
    binaries.initdb,
    [
      ...(isDurable ? [] : ['--no-sync']),
      ...['-D', directory.path, '--username', postgresRole, '--auth', 'trust', '--no-instructions'],
      // Independent of the machine's locales: text sorts by code point on every machine.
      ...[
        '--encoding',
        'UTF8',
        '--locale',
        'C',
        '--locale-provider',
        'builtin',
        '--builtin-locale',
        'C.UTF-8',
      ],
    ],
    '',
  )
  const password = randomBytes(24).toString('base64url')
  await runOn(
    binaries.postgres,
    [
      ...['--single', '-D', directory.path],
      ...['-c', 'exit_on_error=on', '-c', `fsync=${isDurable ? 'on' : 'off'}`, 'postgres'],
    ],
    `alter role ${postgresRole} password '${password}'\ncreate database ${postgresDatabase}\n`,
  )
  await writeFile(join(unfinished, passwordFile), password, { mode: 0o600 })
  if (user !== undefined) await chown(join(unfinished, passwordFile), user.uid, user.gid)
  await writeFile(join(unfinished, 'pg_hba.conf'), hostBasedAuthentication)
  await rename(unfinished, dataDirectory)
  return 'made'
}

/** The role's password. */
export async function readPassword(dataDirectory: string): Promise<string> {
  return await readFile(join(dataDirectory, passwordFile), 'utf8')
}

async function checkVersion(dataDirectory: string, majorVersion: string): Promise<void> {
  const found = (await readFile(join(dataDirectory, 'PG_VERSION'), 'utf8').catch(() => '')).trim()
  if (found === majorVersion) return
  throw new EmbeddedPostgresError(
    found === ''
      ? `${dataDirectory} is not a Postgres data directory (it has no PG_VERSION): move it away, or choose another data_dir`
      : `the data directory ${dataDirectory} was made by Postgres ${found}, and this release brings Postgres ${majorVersion}: ` +
          'go on with the release of Branchline that made it, or move the directory away to begin with an empty database',
    { details: { directory: dataDirectory, found_version: found, needed_version: majorVersion } },
  )
}

async function runToEnd(
  program: string,
  args: string[],
  input: string,
  directoryFd: number | 'ignore',
  user: UnixUser | undefined,
): Promise<void> {
  const child = spawn(program, args, {
    ...postgresProcessOptions(user),
    stdio: ['pipe', 'pipe', 'pipe', directoryFd],
  })
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : `it ended with ${signal ?? code}`))
  })
  // A child that ends before it has read everything breaks the pipe; its own words say why.
  child.stdin!.on('error', () => {})
  child.stdin!.end(input)
  const [output, errors, problem] = await Promise.all([text(child.stdout!), text(child.stderr!), ended])
  if (problem === undefined) return
  const words = (errors.trim() || output.trim()).split('\n').slice(-5).join('\n')
  throw new EmbeddedPostgresError(`${program} could not make the database: ${problem}\n${words}`, {
    details: { program },
  })
}
