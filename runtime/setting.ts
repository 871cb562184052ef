// The kinds of configuration values: how text from the environment, a flag or JSON from the file becomes a
// value, and how a value is written for people. A parser answers undefined for what it does not understand and
// never repeats the text itself, since that may be a secret.
import { resolve } from 'node:path'
import { durationMs } from './duration.ts'

/** One row of the table of configuration. */
export interface Setting<Value> {
  /** What may be written, for people: 'duration', 'integer 1 to 10'. */
  readonly type: string
  /** What the number counts; '' where it has no unit. */
  readonly unit: string
  /** A function where the default depends on other settings, or on the machine. */
  readonly default: Value | ((settings: { data_dir: string }) => Value)
  /** The default in words, for the reference page. */
  readonly defaultText: string
  readonly description: string
  /** Never printed, nor put into an error. */
  readonly secret: boolean
  /**
   * The value, or undefined where `raw` (a string, or any JSON value) is none.
   * @param directory base of relative paths
   */
  parse(raw: unknown, directory: string): Value | undefined
  /** The value in the spelling that `parse` understands. */
  format(value: Value): string
}

interface Common<Value> {
  default: Setting<Value>['default']
  /** Default: the default, formatted. Needed where that is a function. */
  defaultText?: string
  description: string
  secret?: boolean
}

function setting<Value>(
  kind: Pick<Setting<Value>, 'type' | 'unit' | 'parse' | 'format'>,
  common: Common<Value>,
): Setting<Value> {
  const value = common.default
  return {
    ...kind,
    default: value,
    defaultText: common.defaultText ?? (typeof value === 'function' ? '' : kind.format(value as Value)),
    description: common.description,
    secret: common.secret ?? false,
  }
}

const asText = (raw: unknown) => (typeof raw === 'string' && raw !== '' ? raw : undefined)
const noneAs = (text: string | null) => text ?? '(none)'

export const text = <Value extends string | null>(common: Common<Value>) =>
  setting<Value>(
    { type: 'text', unit: '', parse: (raw) => asText(raw) as Value | undefined, format: noneAs },
    common,
  )

/** What Postgres' own programs take as an address, and node-postgres too: a URL, or the directory of a socket. */
export const postgresUrl = (common: Common<string | null>) =>
  setting<string | null>(
    {
      type: 'URL, postgres://user:password@host:port/database',
      unit: '',
      parse(raw) {
        const written = asText(raw)
        return written !== undefined && /^(postgres(ql)?:\/\/|socket:|\/)/.test(written) ? written : undefined
      },
      format: noneAs,
    },
    common,
  )

/** A path; a relative one counts from the file that has it, or else from the working directory. Absolute in the result. */
export const path = <Value extends string | null>(common: Common<Value>) =>
  setting<Value>(
    {
      type: 'path',
      unit: '',
      parse(raw, directory) {
        const written = asText(raw)
        return written === undefined ? undefined : (resolve(directory, written) as Value)
      },
      format: noneAs,
    },
    common,
  )

const booleans: Record<string, boolean> = { true: true, false: false, '1': true, '0': false }

export const boolean = (common: Common<boolean>) =>
  setting<boolean>(
    { type: 'true or false', unit: '', parse: (raw) => booleans[String(raw)], format: String },
    common,
  )

/** A whole number from `min` to `max`, both included. */
export const integer = (common: Common<number> & { min: number; max?: number; unit?: string }) => {
  const max = common.max ?? Number.MAX_SAFE_INTEGER
  return setting<number>(
    {
      type: common.max === undefined ? `integer from ${common.min}` : `integer ${common.min} to ${max}`,
      unit: common.unit ?? '',
      parse(raw) {
        const isWritten = typeof raw === 'number' || (typeof raw === 'string' && /^\d+$/.test(raw))
        const value = Number(raw)
        return isWritten && Number.isSafeInteger(value) && value >= common.min && value <= max
          ? value
          : undefined
      },
      format: String,
    },
    common,
  )
}

/** Milliseconds, written as a duration ('30s') or as a number of milliseconds. At least `min`, default 1. */
export const duration = (common: Common<number> & { min?: number }) => {
  const { min = 1 } = common
  const format = (value: number) => inLargestUnit(value, durationUnits)
  return setting<number>(
    {
      type: `duration ('500ms', '30s', '5m') or milliseconds, at least ${format(min)}`,
      unit: 'ms',
      parse(raw) {
        try {
          const written = typeof raw === 'string' && /^\d+$/.test(raw) ? Number(raw) : raw
          const value = durationMs(written as string | number)
          return value >= min ? value : undefined
        } catch {
          return undefined
        }
      },
      format,
    },
    common,
  )
}

const durationUnits = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 }
const byteUnits = { GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024, '': 1 }

/** '1MiB' for 1048576, '1500ms' for 1500: the largest unit, largest first in `units`, of which it is a whole number. */
function inLargestUnit(value: number, units: Record<string, number>): string {
  const found = Object.entries(units).find(([, size]) => value >= size && value % size === 0)
  return found === undefined ? String(value) : `${value / found[1]}${found[0]}`
}

/** Bytes, written as a number or with KiB, MiB or GiB. */
export const bytes = (common: Common<number>) =>
  setting<number>(
    {
      type: "bytes, or '64KiB', '1MiB'",
      unit: 'bytes',
      parse(raw) {
        const [, amount, unit] = /^(\d+)\s*([a-z]*)$/i.exec(String(raw)) ?? []
        const factor = Object.entries(byteUnits).find(
          ([name]) => name.toLowerCase() === unit?.toLowerCase(),
        )?.[1]
        return amount === undefined || factor === undefined ? undefined : Number(amount) * factor
      },
      format: (value) => inLargestUnit(value, byteUnits),
    },
    common,
  )

/** One of a few words. */
export const oneOf = <const Word extends string>(words: readonly Word[], common: Common<Word>) =>
  setting<Word>(
    {
      type: words.map((word) => `'${word}'`).join(', '),
      unit: '',
      parse: (raw) => words.find((word) => word === raw),
      format: (value) => value,
    },
    common,
  )

/** Some texts, written as a JSON array or with commas between them. An empty list is written '[]'. */
export const list = (common: Common<readonly string[]>) =>
  setting<readonly string[]>(
    {
      type: 'list: one,two',
      unit: '',
      parse(raw) {
        const items =
          raw === '[]' ? [] : typeof raw === 'string' ? raw.split(',').map((item) => item.trim()) : raw
        return Array.isArray(items) && items.every((item) => typeof item === 'string' && item !== '')
          ? [...new Set<string>(items)]
          : undefined
      },
      format: (value) => (value.length === 0 ? '[]' : value.join(',')),
    },
    common,
  )
