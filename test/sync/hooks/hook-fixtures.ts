// Programs, commits and a log for the tests of hooks.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CommitSha } from '../../../runtime/ids.ts'
import { createLogger, type Logger } from '../../../runtime/log.ts'
import { isRunning } from '../../../runtime/process-start.ts'
import { eventually } from '../../support/eventually.ts'

export const [commitA, commitB, commitC] = ['a', 'b', 'c'].map((digit) => digit.repeat(40)) as [
  CommitSha,
  CommitSha,
  CommitSha,
]

/** A signal that nobody gives. */
export const never = new AbortController().signal

/** What programs of these tests need of an environment. */
export const environment = { PATH: process.env.PATH }

export interface Folder extends AsyncDisposable {
  path: string
  /** Writes an executable shell script; returns its path. */
  script(name: string, ...lines: string[]): Promise<string>
  /** A file's text; undefined where it is absent. */
  read(name: string): Promise<string | undefined>
  /** A process id that a script wrote into a file. */
  pidIn(name: string): Promise<number>
}

export async function makeFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'branchline-hooks-'))
  const read = (name: string) => readFile(join(path, name), 'utf8').catch(() => undefined)
  return {
    path,
    script: async (name, ...lines) => {
      const file = join(path, name)
      await writeFile(file, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 })
      return file
    },
    read,
    pidIn: (name) =>
      eventually(`a process id in ${name}`, async () => {
        const text = await read(name)
        return text?.endsWith('\n') ? Number(text) : undefined
      }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

/** Resolves when the process has ended. */
export async function gone(pid: number): Promise<void> {
  await eventually(`end of process ${pid}`, () => !isRunning(pid))
}

export interface CapturedLog {
  log: Logger
  lines: Record<string, unknown>[]
  /** All of it as it was written. */
  text(): string
}

export function captureLog(): CapturedLog {
  let text = ''
  const lines: Record<string, unknown>[] = []
  const destination = {
    write: (line: string) => {
      text += line
      lines.push(JSON.parse(line))
    },
  }
  return { log: createLogger('sync', { level: 'trace', destination }), lines, text: () => text }
}
