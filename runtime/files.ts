// What is asked of the file system in more than one place.
import { lstat, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Whether something has this name. A link is not followed: it exists also where what it names does not. */
export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

/**
 * Makes a folder and those that it is in, as far as they are missing. Node's own way tries for ever where a folder that
 * exists says that it does not as soon as something is to be made in it, as /proc does; so the first is made alone.
 * @param path absolute
 */
export async function makeFolders(path: string, mode: number): Promise<void> {
  let [first, parent] = [path, dirname(path)]
  while (parent !== first && !(await exists(parent))) [first, parent] = [parent, dirname(parent)]
  if (!(await exists(first))) {
    await mkdir(first, { mode }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
  await mkdir(path, { recursive: true, mode })
}
