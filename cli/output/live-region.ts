// The last lines of a terminal, drawn again and again in place. Each drawing is one write, so that no half of it
// is ever seen; the terminal cuts long lines itself, since a line that wrapped would be two when the cursor goes up.

const csi = '\u001b['
const withoutWrap = `${csi}?7l`
const withWrap = `${csi}?7h`
const clearLine = `${csi}K`
const clearBelow = `${csi}J`

export interface LiveRegion {
  /** Replaces what was drawn before. */
  draw(lines: readonly string[]): void
  /** Draws these for good; what is written next comes below them. */
  end(lines: readonly string[]): void
}

/** Begins at the cursor, which must be at the beginning of a line. */
export function createLiveRegion(write: (text: string) => void): LiveRegion {
  let drawn: readonly string[] = []
  const replaceBy = (lines: readonly string[]) => {
    const up = drawn.length === 0 ? '' : `${csi}${drawn.length}A`
    drawn = lines
    return `${up}\r${lines.map((line) => `${line}${clearLine}\n`).join('')}${clearBelow}`
  }
  return {
    draw(lines) {
      // A terminal at rest stays at rest: it can be scrolled and copied from.
      const isSame = lines.length === drawn.length && lines.every((line, index) => line === drawn[index])
      if (!isSame) write(`${withoutWrap}${replaceBy(lines)}${withWrap}`)
    },
    end: (lines) => write(replaceBy(lines)),
  }
}
