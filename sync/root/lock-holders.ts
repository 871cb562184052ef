// Who of the processes that we can see may hold a lock file of git. An open file is a proof, its absence none:
// `git commit` closes the index's lock and keeps it for as long as the editor is open. So every git process that
// is at work in the root counts, whatever it is at. Processes and files are told apart by device and inode, not
// by path, since a process of another container sees the volume in another place. Linux tells all this in /proc;
// elsewhere no process is seen, and a lock is judged by its age alone.
import type { BigIntStats } from 'node:fs'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { processIds } from '../../runtime/process-ids.ts'
import { isOfThisSync } from '../git/processes.ts'

/** A process, for the log. Its arguments are left out: they may hold secrets. */
export interface GitAtWork {
  pid: number
  name: string
}

/** Variables that lead git to a repository other than the one around its working directory. */
const pathVariables = ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_COMMON_DIR', 'GIT_INDEX_FILE', 'GIT_OBJECT_DIRECTORY']

/** Folders from a path up to the top: more than any path has (4,096 bytes), and an end where `..` has none. */
const maxDepth = 2_048

/**
 * Living git processes whose working directory, environment or arguments lead into the root; not those of this sync,
 * which looks at the published files meanwhile, by commands that take no locks.
 * @param owners user ids of the lock files: a process that keeps its directory from us counts if it is one of them
 */
export async function findGitAtWork(root: string, owners: ReadonlySet<number>): Promise<GitAtWork[]> {
  const place = await identify(root)
  if (place === undefined) return []
  const found = await Promise.all(
    (processIds() ?? []).map(async (pid) => {
      const git = await readGit(pid)
      if (git === undefined) return []
      const paths = await pathsOf(pid)
      const isHere =
        paths === 'hidden' ? owners.has(git.uid) : await anyOf(paths, (path) => isWithin(path, place))
      return isHere ? [{ pid, name: git.name }] : []
    }),
  )
  return found.flat()
}

/** Which of the files some process has open. */
export async function findOpenFiles(paths: readonly string[]): Promise<Set<string>> {
  const names = new Set(paths.map((path) => basename(path)))
  const places = new Map<string, string>()
  for (const path of paths) {
    const place = await identify(path)
    if (place !== undefined) places.set(place, path)
  }
  const open = new Set<string>()
  for (const pid of processIds() ?? []) {
    const folder = `/proc/${pid}/fd`
    for (const fd of await readdir(folder).catch(() => [])) {
      const target = await readlink(join(folder, fd)).catch(() => '')
      if (!names.has(basename(target))) continue
      const path = places.get((await identify(join(folder, fd))) ?? '')
      if (path !== undefined) open.add(path)
    }
  }
  return open
}

/** Whether this process lives and is git. */
export async function isLivingGit(pid: number): Promise<boolean> {
  return (await readGit(pid)) !== undefined
}

/** What everybody may know of a process; undefined where it is not git, or is dead and only not yet waited for. */
async function readGit(pid: number): Promise<{ name: string; uid: number } | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  // Helpers are named `git-remote-https` and the like.
  const name = /^Name:\t(git(?:-.*)?)$/m.exec(status)?.[1]
  if (name === undefined || /^State:\t[ZX]/m.test(status)) return undefined
  // The fourth is the one by which files are made.
  return { name, uid: Number(/^Uid:(?:\t\d+){3}\t(\d+)$/m.exec(status)?.[1]) }
}

/** Paths by which a process may be at work somewhere, as this process can follow them. */
async function pathsOf(pid: number): Promise<string[] | 'hidden'> {
  const cwd = `/proc/${pid}/cwd`
  try {
    await readlink(cwd)
    const [args, environment] = await Promise.all(
      ['cmdline', 'environ'].map(async (name) =>
        (await readFile(`/proc/${pid}/${name}`, 'utf8')).split('\0'),
      ),
    )
    const named = args!
      .flatMap((arg) => [arg, arg.slice(arg.indexOf('=') + 1)])
      .filter((arg) => arg.includes('/'))
    if (isOfThisSync(environment!)) return []
    const set = environment!.flatMap((entry) => {
      const end = entry.indexOf('=')
      return pathVariables.includes(entry.slice(0, end)) ? [entry.slice(end + 1)] : []
    })
    const follow = (path: string) => (path.startsWith('/') ? `/proc/${pid}/root${path}` : `${cwd}/${path}`)
    return [cwd, ...[...named, ...set].map(follow)]
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'EACCES' || code === 'EPERM' ? 'hidden' : []
  }
}

/** Whether a path is the place or below it. Of what does not exist, or is a file, the folder counts. */
async function isWithin(path: string, place: string): Promise<boolean> {
  let at = path
  let found = await identifyFolder(at)
  while (found === undefined && at !== '/') {
    at = dirname(at)
    found = await identifyFolder(at)
  }
  let below: string | undefined
  for (let depth = 0; depth < maxDepth && found !== undefined && found !== below; depth += 1) {
    if (found === place) return true
    below = found
    at += '/..'
    found = await identify(at)
  }
  return false
}

async function identify(path: string): Promise<string | undefined> {
  return stat(path, { bigint: true }).then(identityOf, () => undefined)
}

async function identifyFolder(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found?.isDirectory() === true ? identityOf(found) : undefined
}

function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`
}

async function anyOf(paths: readonly string[], test: (path: string) => Promise<boolean>): Promise<boolean> {
  for (const path of paths) if (await test(path)) return true
  return false
}
