// One stream's output as whole lines, however it was cut into pieces on its way: a secret is on one line, and is
// recognised only where that line is whole and no other stream's output is amid it.
import { StringDecoder } from 'node:string_decoder'

/** A line that is longer is handed on in parts. Larger: more memory. Smaller: more is looked through twice. */
const defaultMaxLength = 64 * 1024

export interface WholeLines {
  add(chunk: Buffer): void
  /** Hands on what is left: a line without its end. */
  end(): void
}

/**
 * @param options.redact replaces secrets; only where a line is too long, to find out where it may be cut
 * @param options.onLines told lines with their ends, as many as there are, or a part of a line that holds no part of
 * a secret that is shorter than half of `maxLength`
 */
export function createWholeLines(options: {
  redact: (text: string) => string
  onLines: (text: string) => void
  maxLength?: number
}): WholeLines {
  const { redact, onLines, maxLength = defaultMaxLength } = options
  const decoder = new StringDecoder('utf8')
  let pending = ''
  /** Nothing of the line in hand is told any more: a secret in it may have been cut. */
  let isLeavingOut = false

  const handOn = (length: number): void => {
    if (length > 0) onLines(pending.slice(0, length))
    pending = pending.slice(length)
  }

  /** Whether the line has ended. */
  const leaveOutLine = (): boolean => {
    const end = pending.indexOf('\n')
    isLeavingOut = end < 0
    pending = isLeavingOut ? '' : pending.slice(end + 1)
    return !isLeavingOut
  }

  return {
    add: (chunk) => {
      pending += decoder.write(chunk)
      if (isLeavingOut && !leaveOutLine()) return
      handOn(pending.lastIndexOf('\n') + 1)
      while (pending.length > maxLength) {
        const cut = findCut(pending, pending.length - Math.floor(maxLength / 2), redact)
        if (cut > 0) handOn(cut)
        else {
          onLines('… the rest of a line that is too long is left out …\n')
          isLeavingOut = true
          if (!leaveOutLine()) return
        }
      }
    },
    end: () => {
      pending += decoder.end()
      if (isLeavingOut) leaveOutLine()
      handOn(pending.length)
    },
  }
}

/**
 * A place at or before `latest` that no secret lies across: one where the halves read as the whole does. A secret that
 * has only begun to arrive begins after `latest`. 0 where none is found, in a line of hardly anything but secrets.
 */
function findCut(line: string, latest: number, redact: (text: string) => string): number {
  const whole = redact(line)
  for (let cut = latest, step = 1; cut > 0; cut -= step, step *= 2) {
    if (redact(line.slice(0, cut)) + redact(line.slice(cut)) === whole) return cut
  }
  return 0
}
