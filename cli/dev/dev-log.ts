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
  /** Begins a line of its own after one that may have been cut. */
  let start = ''
  const putAside = (): void => {
    renameSync(path, `${path}.1`)
    closeSync(fd)
    fd = openSync(path, 'a', 0o600)
    size = 0
  }
  // On a full disk lines are lost, and nothing else: the programs go on, and so does the log when there is room.
  const writeJson = (text: string): void => {
    try {
      if (size > maxBytes) putAside()
      size += writeSync(fd, `${start}${text.trimEnd()}\n`)
      start = ''
    } catch {
      start = '\n'
    }
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
