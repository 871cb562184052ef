// The program `sync` as a benchmark starts it: a process with arguments and an empty environment, watched by its link
// and by /proc alone, so that looking costs it nothing.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { BenchContext } from './bench-case.ts'
import { type ProcessUse, processTree } from './process-tree.ts'
import { startProgram } from './system.ts'
import { waitUntil } from './wait-until.ts'

/** A look is one `readlink`; rarer ones would be seen in the figure. */
const lookEveryMs = 1

export interface SyncProgram extends AsyncDisposable {
  pid: number
  /** The commit that its link names; undefined: none yet. */
  published(): string | undefined
  /** Resolves when another commit than this is published. */
  publishedAfter(commit: string | undefined): Promise<void>
}

function argumentsFor(context: BenchContext, url: string, root: string, more: readonly string[]): string[] {
  const where = ['--repo', url, '--ref', 'main', '--root', root, '--link', 'current']
  return [context.programPath('sync'), ...where, ...more]
}

/** A sync that goes on, when its first commit is published. */
export async function startSync(
  context: BenchContext,
  input: { url: string; root: string; args: readonly string[]; env?: Record<string, string> },
): Promise<SyncProgram> {
  const { url, root, args, env = {} } = input
  const running = await startProgram(context, 'sync', { args: argumentsFor(context, url, root, args), env })
  const link = join(root, 'current')
  const published = () => commitOf(link)
  const publishedAfter = (commit: string | undefined) =>
    waitUntil('a commit', { everyMs: lookEveryMs, signal: context.signal }, async () => {
      const present = published()
      return present === undefined || present === commit ? undefined : true
    }).then(() => {})
  try {
    await publishedAfter(undefined)
  } catch (error) {
    await running.stop()
    throw error
  }
  return { pid: running.pid, published, publishedAfter, [Symbol.asyncDispose]: () => running.stop() }
}

/** One sync from nothing, from the start of its process to its end. @throws Error with what it said */
export async function syncOnceFromNothing(context: BenchContext, url: string, root: string): Promise<void> {
  const args = argumentsFor(context, url, root, ['--one-time', '--depth=1'])
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, HOME: context.directory },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`sync ended with ${code}: ${said}`)
}

export interface SyncUse extends ProcessUse {
  openFiles: number
  /** Of its own that run now, git among them. */
  children: number
}

/** What it takes of the machine now. */
export function useOf(pid: number): SyncUse {
  const [own, ...children] = processTree(pid, () => false)
  return { ...own!, openFiles: readdirSync(`/proc/${pid}/fd`).length, children: children.length }
}

function commitOf(link: string): string | undefined {
  try {
    return basename(readlinkSync(link))
  } catch {
    return undefined
  }
}
