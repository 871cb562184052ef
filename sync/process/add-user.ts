// --add-user: an entry in /etc/passwd for a user id that has none, as in a container that runs under an id of the
// cluster's choice. ssh asks the system for its user's name and home, and ends where there is no answer. The file
// is read here and not by os.userInfo(), which throws for just the users that this is for.
import { appendFileSync, readFileSync } from 'node:fs'
import { ConfigError, messageOf } from '../../runtime/errors.ts'

/** The name that git-sync gives. */
const userName = 'git-sync'

/**
 * Makes sure that the user has an entry; does nothing where one is there, so it may be called at every start.
 * @param user.home home directory of the entry
 * @param user.passwdPath default /etc/passwd
 * @returns whether an entry was added
 * @throws ConfigError where the file cannot be read or written
 */
export function addUser(user: { uid: number; gid: number; home: string; passwdPath?: string }): boolean {
  const { uid, gid, home, passwdPath = '/etc/passwd' } = user
  if (/[:\n]/.test(home)) {
    throw new ConfigError(
      `--add-user: the home directory ${JSON.stringify(home)} has a colon or a line break, which no entry of ${passwdPath} can hold: set HOME to another directory`,
      { details: { home } },
    )
  }
  try {
    const text = readFileSync(passwdPath, 'utf8')
    if (hasEntry(text, uid)) return false
    const lineBreak = text === '' || text.endsWith('\n') ? '' : '\n'
    // One write in append mode: of two syncs that share the file, neither loses the other's line.
    appendFileSync(passwdPath, `${lineBreak}${userName}:x:${uid}:${gid}::${home}:/sbin/nologin\n`)
    return true
  } catch (error) {
    throw new ConfigError(
      `--add-user: cannot add user id ${uid} to ${passwdPath}: ${messageOf(error)}. Run as user 65533, which the image has an entry for, or mount a writable file with an entry for ${uid} there, or allow the container to write its root file system (readOnlyRootFilesystem: false)`,
      { cause: error, details: { uid, path: passwdPath } },
    )
  }
}

function hasEntry(passwd: string, uid: number): boolean {
  return passwd.split('\n').some((line) => !line.startsWith('#') && line.split(':')[2] === String(uid))
}
