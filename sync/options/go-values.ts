// Values as Go programs read them from flags and environment variables, because the manifests that `sync` takes
// over were written for one: base-0 integers, its spellings of booleans, its durations. Each function returns
// undefined for text that is none; the caller knows whether that is a flag's or a variable's fault.

/** `0x10`, `0o17`, `0b11`, `017` (octal), `1_000`, with a sign. Undefined beyond the safe integers. */
export function parseGoInt(text: string): number | undefined {
  const match =
    /^([+-]?)(0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0[oO]_?[0-7]+(?:_[0-7]+)*|0[bB]_?[01]+(?:_[01]+)*|0(?:_?[0-7]+)*|[1-9]\d*(?:_\d+)*)$/.exec(
      text,
    )
  if (match === null) return undefined
  const digits = match[2]!.replaceAll('_', '').toLowerCase()
  const value = Number(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits)
  if (!Number.isSafeInteger(value)) return undefined
  return match[1] === '-' && value !== 0 ? -value : value
}

const goBooleans: Readonly<Record<string, boolean>> = {
  '1': true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  '0': false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
}

/** The twelve spellings that Go knows; `yes` and `on` are not among them. */
export function parseGoBool(text: string): boolean | undefined {
  return Object.hasOwn(goBooleans, text) ? goBooleans[text] : undefined
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  // Both letters for micro: U+00B5 and U+03BC.
  '\u00b5s': 1e-3,
  '\u03bcs': 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}
const durationPart = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/gy

/** Milliseconds of `1h2m3.5s`, `100ms`, `.5h`, `-1s`, or `0`; a bare number other than 0 is none. */
export function parseGoDuration(text: string): number | undefined {
  const unsigned = text.replace(/^[+-]/, '')
  if (unsigned === '0') return 0
  let total = 0
  let end = 0
  for (const match of unsigned.matchAll(durationPart)) {
    total += Number(match[1]) * unitMs[match[2]!]!
    end = match.index + match[0].length
  }
  if (end === 0 || end !== unsigned.length) return undefined
  return text.startsWith('-') ? -total : total
}

/** As Go prints a duration: `1h0m0s`, `2m0s`, `10s`, `1.5s`, `100ms`, `0s`. */
export function formatGoDuration(ms: number): string {
  if (ms === 0) return '0s'
  if (ms < 0) return `-${formatGoDuration(-ms)}`
  if (ms < 1) return `${trim(ms * 1_000)}\u00b5s`
  if (ms < 1_000) return `${trim(ms)}ms`
  const hours = Math.floor(ms / unitMs.h!)
  const minutes = Math.floor((ms % unitMs.h!) / unitMs.m!)
  const seconds = `${trim((ms % unitMs.m!) / 1_000)}s`
  if (hours > 0) return `${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${minutes}m${seconds}` : seconds
}

function trim(value: number): string {
  return String(Number(value.toFixed(9)))
}
