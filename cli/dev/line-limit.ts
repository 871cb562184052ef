// Keeps a burst of lines readable: so many at once, and then how many more there were.

/** Lines that a window may have. More and nobody reads them; the API has them all. */
const maxLines = 20
const windowMs = 2_000

export interface LineLimit {
  print(line: string): void
  /** Says at once what was left out. */
  flush(): void
}

/** @param print gets the lines that are not too many */
export function createLineLimit(print: (line: string) => void): LineLimit {
  let lines = 0
  let leftOut = 0
  let timer: NodeJS.Timeout | undefined

  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (leftOut > 0) print(`  … and ${leftOut} more changes of runs`)
    lines = 0
    leftOut = 0
  }
  return {
    print(line) {
      timer ??= setTimeout(flush, windowMs)
      lines += 1
      if (lines <= maxLines) print(line)
      else leftOut += 1
    },
    flush,
  }
}
