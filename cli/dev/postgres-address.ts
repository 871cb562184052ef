// Where the embedded Postgres listens: a loopback port that is chosen once and kept, so that people's tools stay
// configured, or a Unix socket. Every form of an address (settings of the server, URL, what `connect` takes) is
// made here.
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EmbeddedPostgresError } from '../../runtime/errors.ts'
import { freePort } from './ports.ts'
import type { UnixUser } from './postgres-user.ts'
import { isServerRunning, type PostgresAddress, readPostmasterFile } from './postmaster.ts'

export type { PostgresAddress } from './postmaster.ts'

const host = '127.0.0.1'

/** Names the socket file, `.s.PGSQL.5432`; nothing listens on this port. */
const socketPort = 5432

/** sun_path holds 107 bytes; the socket's own name takes up to 16. */
const maxSocketDirectoryBytes = 90

/**
 * The port that was asked for, or the kept one, or a free one.
 * @throws EmbeddedPostgresError where another program holds the port that was asked for
 */
export async function loopbackAddress(place: {
  directory: string
  dataDirectory: string
  port: number | undefined
}): Promise<PostgresAddress> {
  const portFile = join(place.directory, 'port')
  // Anything but a port, of a file that was damaged, is none.
  const [kept] = /^[1-9]\d{0,4}(?=\n$)/.exec(await readFile(portFile, 'utf8').catch(() => '')) ?? []
  const wanted = place.port ?? Number(kept ?? 0)
  if (wanted !== 0 && wanted <= 65_535) {
    // Held by this directory's own server, which will be adopted or stopped, it counts as free.
    if (wanted === (await runningPort(place.dataDirectory))) return { host, port: wanted }
    if ((await freePort(host, wanted)) !== undefined) return { host, port: wanted }
  }
  if (place.port !== undefined) {
    throw new EmbeddedPostgresError(
      `port ${place.port} for the embedded Postgres is in use by another program: end that, or choose another port`,
      { details: { port: place.port } },
    )
  }
  const port = (await freePort(host, 0))!
  await writeFile(portFile, `${port}\n`)
  return { host, port }
}

/**
 * A socket in `directory`, which is made and given to the user of Postgres.
 * @throws EmbeddedPostgresError where its path is too long for a socket
 */
export async function socketAddress(directory: string, user: UnixUser | undefined): Promise<PostgresAddress> {
  if (Buffer.byteLength(directory) > maxSocketDirectoryBytes) {
    throw new EmbeddedPostgresError(
      `the socket directory ${directory} is longer than ${maxSocketDirectoryBytes} bytes, the most that fits a Unix socket: choose a shorter one`,
    )
  }
  await mkdir(directory, { recursive: true, mode: 0o700 })
  if (user !== undefined) await chown(directory, user.uid, user.gid)
  return { path: join(directory, `.s.PGSQL.${socketPort}`) }
}

/** Server settings that make it listen there and nowhere else. */
export function listenSettings(address: PostgresAddress): Record<string, string | number> {
  return 'path' in address
    ? { listen_addresses: '', unix_socket_directories: dirname(address.path), port: socketPort }
    : { listen_addresses: address.host, unix_socket_directories: '', port: address.port }
}

/** Host and port as they stand in a connection URL; libpq and node-postgres take an encoded path for a host. */
export function urlAuthority(address: PostgresAddress): string {
  return 'path' in address
    ? `${encodeURIComponent(dirname(address.path))}:${socketPort}`
    : `${address.host}:${address.port}`
}

async function runningPort(dataDirectory: string): Promise<number | undefined> {
  const file = await readPostmasterFile(dataDirectory)
  return file !== undefined && (await isServerRunning(file, dataDirectory)) ? file.port : undefined
}
