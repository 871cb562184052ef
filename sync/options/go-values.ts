// Values as Go programs read them from flags and environment variables, because the manifests that `sync` takes
// over were written for one: base-0 integers, floats, its spellings of booleans, its durations. Each function returns
// undefined for text that is none; the caller knows whether that is a flag's or a variable's fault.

const maxInt64 = 2n ** 63n - 1n
const minInt64 = -(2n ** 63n)

const intPattern =
  /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?[0-7])*|[1-9](?:_?\d)*)$/

/**
 * `0x10`, `0o17`, `0b11`, `017` (octal), `1_000`, with a sign; 64 bits. Undefined for anything else. Beyond the
 * safe integers the nearest of them is given: as a limit or a count it means the same.
 */
export function parseGoInt(text: string): number | undefined {
  const match = intPattern.exec(text)
  if (match === null) return undefined
  const digits = match[2]!.replaceAll('_', '').toLowerCase()
  const magnitude = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits)
  const value = match[1] === '-' ? -magnitude : magnitude
  if (value > maxInt64 || value < minInt64) return undefined
  return Math.min(Math.max(Number(value), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
}

const floatPattern = /^[+-]?(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?$/

/**
 * `1`, `0.5`, `.5`, `1e3`, `1_000`. Undefined for anything else, for what is too large, and for three things that
 * Go would take: `inf`, `nan` and hexadecimal ones, which mean nothing as a time.
 */
export function parseGoFloat(text: string): number | undefined {
  if (!floatPattern.test(text)) return undefined
  const value = Number(text.replaceAll('_', ''))
  return Number.isFinite(value) ? value : undefined
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

const nsPerMs = 1_000_000

const unitNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1_000,
  // Both letters for micro: U+00B5 and U+03BC.
  '\u00b5s': 1_000,
  '\u03bcs': 1_000,
  ms: nsPerMs,
  s: 1_000 * nsPerMs,
  m: 60_000 * nsPerMs,
  h: 3_600_000 * nsPerMs,
}
const durationPart = /(?:(\d+)(?:\.(\d*))?|\.(\d+))(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/gy

/** The digits of a fraction that Go looks at: as many as fit into 64 bits. */
const fractionDigits = 19

/**
 * Milliseconds of `1h2m3.5s`, `100ms`, `.5h`, `-1s`, or `0`; a bare number other than 0 is none. Counted in whole
 * nanoseconds, as Go does, so that what is less is 0; beyond 64 bits of them (292 years) it is none either.
 */
export function parseGoDuration(text: string): number | undefined {
  const unsigned = text.replace(/^[+-]/, '')
  if (unsigned === '0') return 0
  let total = 0n
  let end = 0
  for (const match of unsigned.matchAll(durationPart)) {
    const unit = unitNs[match[4]!]!
    const fraction = (match[2] ?? match[3] ?? '').slice(0, fractionDigits)
    const part = Math.trunc(Number(fraction) * (unit / 10 ** fraction.length))
    total += BigInt(match[1] ?? '0') * BigInt(unit) + BigInt(part)
    end = match.index + match[0].length
  }
  if (end === 0 || end !== unsigned.length) return undefined
  if (text.startsWith('-')) total = -total
  if (total > maxInt64 || total < minInt64) return undefined
  return Number(total) / nsPerMs
}

/** As Go prints a duration: `1h0m0s`, `2m0s`, `10s`, `1.5s`, `100ms`, `0s`. */
export function formatGoDuration(ms: number): string {
  if (ms === 0) return '0s'
  if (ms < 0) return `-${formatGoDuration(-ms)}`
  if (ms < 0.001) return `${trim(ms * 1_000_000)}ns`
  if (ms < 1) return `${trim(ms * 1_000)}\u00b5s`
  if (ms < 1_000) return `${trim(ms)}ms`
  const hours = Math.floor(ms / 3_600_000)
  const minutes = Math.floor((ms % 3_600_000) / 60_000)
  const seconds = `${trim((ms % 60_000) / 1_000)}s`
  if (hours > 0) return `${hours}h${minutes}m${seconds}`
  return minutes > 0 ? `${minutes}m${seconds}` : seconds
}

function trim(value: number): string {
  return String(Number(value.toFixed(9)))
}
