// `<data_dir>/dev.log`: every line of every program, as newline-delimited JSON. The terminal gets of it only what a
// person should know at once.
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import type { ProgramLine } from './supervised-program.ts'

/** The file is put aside (one generation) when it is larger. */
const maxBytes = 10 * 1024 * 1024

export interface DevLog {
  readonly path: string
  /** Appends a line of a program, wrapped where it is no JSON. */
  write(line: ProgramLine): void
  /** Appends a line that is JSON already. */
  writeJson(text: string): void
  close(): void
}

/** Opens the file for appending; written at once, so that it tells what was last before any crash. */
export function openDevLog(path: string): DevLog {
  let fd = openSync(path, 'a', 0o600)
  let size = fstatSync(fd).size
  const writeJson = (text: string): void => {
    if (size > maxBytes) {
      closeSync(fd)
      renameSync(path, `${path}.1`)
      fd = openSync(path, 'a', 0o600)
      size = 0
    }
    size += writeSync(fd, `${text.trimEnd()}\n`)
  }
  return {
    path,
    write: ({ program, stream, text }) => {
      if (text.startsWith('{')) return writeJson(text)
      writeJson(JSON.stringify({ time: new Date().toISOString(), logger: program, stream, msg: text }))
    },
    writeJson,
    close: () => closeSync(fd),
  }
}
