// What is asked of the file system in more than one place.
import { lstat } from 'node:fs/promises'

/** Whether something has this name. A link is not followed: it exists also where what it names does not. */
export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
