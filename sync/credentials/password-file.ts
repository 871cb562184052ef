// A password that lies in a file, such as a mounted Secret that is replaced while sync runs. It is given to git as
// it stands, spaces and all: git's protocol with its helpers has no way to say a line break, so the first one ends
// the password.
import { readFile } from 'node:fs/promises'
import { CredentialsError, messageOf } from '../../runtime/errors.ts'

/**
 * The whole text of the file; `passwordIn` is what git gets of it.
 * @param option the option that names the file, for the message
 * @throws CredentialsError where it cannot be read or holds what no password can
 */
export async function readPasswordFile(path: string, option: string): Promise<string> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new CredentialsError(
      `${option} ${path} cannot be read: ${messageOf(error)}. Make the file, or give sync the right to read it`,
      { details: { path }, cause: error },
    )
  })
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {
    // Said below.
  }
  throw new CredentialsError(
    `${option} ${path} does not hold text in UTF-8 without NUL bytes, which is all that git takes as a password. Write the password into it, and nothing else`,
    { details: { path } },
  )
}

/** The password that a text holds: its first line. */
export function passwordIn(text: string): string {
  return text.split(/\r?\n/, 1)[0]!
}
