// As whom Postgres runs. It refuses root, so under root it runs as the user that owns its data directory, or,
// for a new one, as `postgres` or else `nobody`. Every other user runs it as themselves.
import { readFile, stat } from 'node:fs/promises'
import { EmbeddedPostgresError } from '../../runtime/errors.ts'

export interface UnixUser {
  uid: number
  gid: number
}

/** In this order: a user made for Postgres; one that every Unix has. */
const preferredNames = ['postgres', '_postgres', 'nobody']

/**
 * The user to switch to; undefined where Postgres runs as the present one.
 * @param dataDirectory its owner decides where it exists
 * @throws EmbeddedPostgresError where the data directory belongs to somebody else, or root finds no user
 */
export async function postgresUser(dataDirectory: string): Promise<UnixUser | undefined> {
  const uid = process.getuid?.()
  if (uid === undefined) return undefined
  const owner = await stat(dataDirectory).catch(() => undefined)
  if (uid !== 0) {
    if (owner === undefined || owner.uid === uid) return undefined
    throw new EmbeddedPostgresError(
      `the data directory ${dataDirectory} belongs to the user with id ${owner.uid}, not to the present one (${uid}): ` +
        'start as the user who made it (root, if root did), or choose another data_dir',
      { details: { directory: dataDirectory, owner_uid: owner.uid, uid } },
    )
  }
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const users = passwd.split('\n').map((line) => line.split(':'))
  for (const name of preferredNames) {
    const fields = users.find(([candidate]) => candidate === name)
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) }
  }
  throw new EmbeddedPostgresError(
    "Postgres refuses to run as root and /etc/passwd has no user 'postgres' or 'nobody' to run it as: " +
      "make one ('useradd --system postgres'), start as another user, or set database_url (BRANCHLINE_DATABASE_URL)",
  )
}
