// The file that keeps a gate's output for its commit. It is written as the output comes, so that a gate that hangs
// can be watched; it is bounded, so that one that runs wild does not fill the volume that sync publishes on; and
// there is a bounded number of such files. Whoever reads the volume reads it, so it holds no secrets.
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { HookError, messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import { createBoundedOutput, leftOutNote } from './bounded-output.ts'

/** One file holds about so much from the beginning and the end. Less: the output of a build does not fit. */
const headBytes = 1024 * 1024
const tailBytes = 32 * 1024
/** Files of that many commits are kept. Fewer: yesterday's refusal is gone. More: up to 1 MiB more each. */
const keptFiles = 100

export interface GateOutput {
  /** Whole lines: a secret that lies across two calls is not recognised. */
  write(lines: string): void
  /** Resolves when all is in the file. @throws HookError where it could not be written */
  close(): Promise<void>
}

/**
 * Replaces the file.
 * @param output.redact replaces secrets in what the gate printed, for it may print its environment
 * @param output.log told where files that are too many cannot be removed, which is nobody's failure
 * @throws HookError where it cannot be made
 */
export async function openGateOutput(output: {
  path: string
  redact: (text: string) => string
  log: Logger
}): Promise<GateOutput> {
  const { path, redact, log } = output
  const folder = dirname(path)
  const file = await keeping(path, async () => {
    await mkdir(folder, { recursive: true, mode: 0o775 })
    return open(path, 'w', 0o644)
  })
  const rest = createBoundedOutput({ redact, headBytes: 0, tailBytes })
  let written = 0
  let writing: Promise<unknown> = Promise.resolve()
  let failure: unknown

  const append = (text: string): void => {
    writing = writing
      .then(() => file.writeFile(text))
      .catch((error) => {
        failure ??= error
      })
  }

  return {
    write: (lines) => {
      // Of what only its end is told of, no more is looked through: a gate may print without end.
      if (written >= headBytes) return rest.add(Buffer.from(lines))
      const shown = redact(lines)
      written += Buffer.byteLength(shown)
      append(shown)
    },
    close: async () => {
      const { head, leftOutBytes, tail } = rest.ends()
      append(`${head}${leftOutNote(leftOutBytes)}${tail}`)
      await writing
      await file.close()
      await keeping(path, async () => {
        if (failure !== undefined) throw failure
      })
      await removeOldest(folder).catch((error: unknown) =>
        log.warn({ path: folder, error: messageOf(error) }, 'could not remove old output of the gate'),
      )
    },
  }
}

async function keeping<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    throw new HookError(
      `the gate's output cannot be kept in ${path}: ${messageOf(error)}. Free space on its volume and let this user write there; until then nothing is published`,
      { details: { output_path: path }, cause: error },
    )
  }
}

async function removeOldest(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log'))
  if (names.length <= keptFiles) return
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      return { path, at: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 }
    }),
  )
  files.sort((one, other) => other.at - one.at)
  for (const { path } of files.slice(keptFiles)) await rm(path, { recursive: true, force: true })
}
