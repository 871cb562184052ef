// Which of the programs' lines a person sees at once: warnings and errors, and whatever a program says that is no log
// line (it crashes). All of them are in dev.log.
import type { Style } from '../output/style.ts'
import { readProgramLine } from './program-line.ts'
import type { ProgramLine } from './supervised-program.ts'

/** The same line again within this time is not shown: what is retried every second says so every second. */
const repeatMs = 60_000

const shownLevels = ['warn', 'error', 'fatal']

/** Log lines that live news tell better. */
const toldAsNews = ['import error']

/** @param forward.verbose show every line */
export function createLineForwarder(forward: {
  verbose: boolean
  style: Style
  print: (line: string) => void
}): (line: ProgramLine) => void {
  const { verbose, style, print } = forward
  const shownAt = new Map<string, number>()

  return ({ program, stream, text: line }) => {
    const { level, msg, text } = readProgramLine(line)
    const matters = level === undefined ? stream === 'stderr' : shownLevels.includes(level)
    if (!verbose && (!matters || toldAsNews.includes(msg))) return
    const now = performance.now()
    const key = `${program} ${text}`
    if (!verbose && now - (shownAt.get(key) ?? Number.NEGATIVE_INFINITY) < repeatMs) return
    shownAt.set(key, now)
    const format = level === 'warn' ? 'yellow' : matters ? 'red' : 'dim'
    print(`${style(format, `${program}:`)} ${text}`)
  }
}
