// What the tests of the contract look at from outside, as the users of a published tree do: the link and the files
// behind it, the commands that git was given, and the processes of this machine.
import { chmod, readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { git } from '../support/git-server.ts'
import { publishedCommit, type SyncProcess } from './sync-process.ts'

/** Resolves when the link publishes the commit. @param sync told about, with its log, where it does not happen */
export async function publishes(link: string, commit: string, sync?: SyncProcess): Promise<void> {
  await eventually(
    `${link} publishes ${commit}`,
    async () => {
      if ((await publishedCommit(link)) === commit) return true
      if (sync?.child.exitCode != null) throw new Error('sync ended')
      return undefined
    },
    10_000,
  ).catch((error) => {
    throw new Error(`${error.message}\n${sync === undefined ? '' : latestOf(sync)}`)
  })
}

/** The end of the log: a sync that fails every few milliseconds says the same again and again. */
const latestOf = (sync: SyncProcess): string => sync.stderr().split('\n').slice(-12).join('\n')

/** What is wrong with what the link publishes, as git sees it; undefined where every file is the commit's. */
async function faultOf(link: string, commit: string): Promise<string | undefined> {
  const published = await publishedCommit(link)
  if (published !== commit) return `the link names ${published}`
  try {
    const head = await git(link, ['rev-parse', 'HEAD'])
    // git would find the repository of the root, or one above it, if the worktree's own `.git` were gone.
    const top = await git(link, ['rev-parse', '--show-toplevel'])
    if (head !== commit || basename(top) !== commit) return `the worktree ${top} is at ${head}`
    return (await git(link, ['--no-optional-locks', 'status', '--porcelain'])) || undefined
  } catch (error) {
    return String(error)
  }
}

/** Exactly the commit's files are published: none missing, changed or added. */
export async function expectWhole(link: string, commit: string): Promise<void> {
  expect(await faultOf(link, commit)).toBeUndefined()
}

/** Resolves when exactly the commit's files are published. */
export async function becomesWhole(link: string, commit: string, sync: SyncProcess): Promise<void> {
  let fault: string | undefined
  await eventually(
    'a whole tree',
    async () => {
      fault = await faultOf(link, commit)
      if (fault !== undefined && sync.child.exitCode !== null) throw new Error('sync ended')
      return fault === undefined
    },
    10_000,
  ).catch((error) => {
    throw new Error(`${error.message}: ${fault}\n${latestOf(sync)}`)
  })
}

export interface Reader {
  /** How often it has read. */
  count(): number
  /** Ends it and tells what it found; throws the first thing that a reader must never meet. */
  stop(): Promise<void>
}

/**
 * Reads a published file again and again: every link that it finds must name a full commit, and every file must
 * be there.
 * @param judge gets the commit that the link named and the file's text; throws where they do not belong together
 * @param pinned reads below the link's target, as one who needs several files of one commit does; else through
 * the link
 */
export function startReader(options: {
  link: string
  file: string
  pinned?: boolean
  judge?: (commit: string, text: string) => void
}): Reader {
  const { link, file, pinned = false, judge } = options
  let isStopped = false
  let count = 0
  const readOnce = async (): Promise<void> => {
    const target = await readlink(link)
    if (!/^[0-9a-f]{40}$/.test(basename(target))) throw new Error(`the link names ${target}`)
    const folder = pinned ? resolve(dirname(link), target) : link
    const text = await readFile(join(folder, file), 'utf8')
    judge?.(basename(target), text)
    count += 1
  }
  const running = (async () => {
    while (!isStopped) {
      await readOnce()
      await delay(1)
    }
  })()
  // Thrown again by `stop`.
  running.catch(() => {})
  return {
    count: () => count,
    stop: async () => {
      isStopped = true
      await running
    },
  }
}

export interface RecordingGit {
  /** For `--git`. */
  path: string
  /** The arguments of every git command so far, one line each. */
  calls(): Promise<string[]>
  /** Resolves when `count` more commands have been given: with none to do, that many polls. */
  polled(count: number): Promise<void>
}

/** A git that notes what it is asked, and does it. */
export async function createRecordingGit(folder: string): Promise<RecordingGit> {
  const path = join(folder, 'recording-git')
  const record = join(folder, 'git-calls')
  await writeFile(path, `#!/bin/sh\necho "$@" >> '${record}'\nexec git "$@"\n`)
  await chmod(path, 0o755)
  const calls = async (): Promise<string[]> =>
    (await readFile(record, 'utf8').catch(() => '')).split('\n').slice(0, -1)
  const polled = async (count: number): Promise<void> => {
    const before = (await calls()).length
    await eventually(`${count} polls`, async () => (await calls()).length >= before + count)
  }
  return { path, calls, polled }
}

/** Command lines of this machine's processes that contain the text. */
export async function processesWith(text: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.map((line) => line.replaceAll('\0', ' ')).filter((line) => line.includes(text))
}
