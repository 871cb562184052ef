// One field of a cron expression: its range, the members of its list, and the words for what is wrong with one.
import { DagDefinitionError } from '../../runtime/errors.ts'

export interface CronField {
  name: string
  min: number
  max: number
  /** Three-letter names in order, the first of which means `min`. */
  names?: readonly string[]
  /** A further number that means `min`: Sunday as 7, so that `5-7` counts upwards. */
  alias?: number
  /** What is allowed, for people. */
  range: string
}

/** A field as it stands in an expression, or one member of its list. */
export interface CronTerm {
  expression: string
  field: CronField
  text: string
}

/** The error that says which field of which expression is wrong, why, and what is allowed. */
export function refused({ expression, field, text }: CronTerm, reason: string): DagDefinitionError {
  // Fields are read in lower case; people see their own spelling.
  const at = expression.toLowerCase().indexOf(text)
  const spelt = at < 0 ? text : expression.slice(at, at + text.length)
  return refusedExpression(expression, `${field.name} '${spelt}' ${reason}; allowed: ${field.range}`)
}

/** As `refused`, where the fault is not in one field. */
export function refusedExpression(expression: string, reason: string): DagDefinitionError {
  const message = `cron expression ${JSON.stringify(expression)}: ${reason}`
  return new DagDefinitionError(message, { details: { expression } })
}

/** The members of a field's comma-separated list. */
export function membersOf(term: CronTerm): CronTerm[] {
  return term.text.split(',').map((text) => ({ ...term, text }))
}

/** The set of values as croner reads it: numbers in order. */
export function listed(values: Iterable<number>): string {
  return [...values].sort((a, b) => a - b).join(',')
}

/** A field of numbers and names as `*` or a list; a list of all values is `*`. */
export function valueList(term: CronTerm): string {
  if (term.text === '*') return '*'
  const values = new Set(membersOf(term).flatMap(valuesOf))
  return values.size > term.field.max - term.field.min ? '*' : listed(values)
}

const memberPattern = /^([^/-]+)(?:-([^/-]+))?(?:\/([^/]+))?$/

/**
 * The values of one member: `5`, `MON`, `1-5`, `1-9/2`, a range that goes round the end (`FRI-MON`), a start
 * with a step (`3/2`: from 3 to the end), or `*` with a step.
 * @throws DagDefinitionError
 */
export function valuesOf(member: CronTerm): number[] {
  const { field, text } = member
  const match = memberPattern.exec(text)
  if (match === null) throw refused(member, text.startsWith('-') ? 'is negative' : 'is not a value or range')
  const [, from, to, stepText] = match as unknown as [string, string, string?, string?]
  if (from === '*' && (to !== undefined || stepText === undefined)) {
    throw refused(member, "is '*' within a list or range, where it must stand alone")
  }
  const step = stepText === undefined ? 1 : stepOf(member, stepText)
  const low = from === '*' ? field.min : numberOf(member, from)
  if (to === undefined) return stepText === undefined ? [low] : upwards(low, field.max, step)
  const high = numberOf(member, to, field.alias)
  if (from === to || low === high) {
    throw refused(
      member,
      `is a range of one value, which some read as that value and some as all: write '${from}' or '*'`,
    )
  }
  if (low < high) return upwards(low, high, step).map((value) => (value === field.alias ? field.min : value))
  if (stepText !== undefined)
    throw refused(member, 'has a step over a range that goes round the end: list the values')
  return [...upwards(low, field.max, 1), ...upwards(field.min, high, 1)]
}

function stepOf(member: CronTerm, text: string): number {
  if (!/^\d+$/.test(text) || Number(text) === 0) {
    throw refused(member, `has the step '${text}', which is not a whole number from 1`)
  }
  return Number(text)
}

function upwards(low: number, high: number, step: number): number[] {
  const values = []
  for (let value = low; value <= high; value += step) values.push(value)
  return values
}

/** @param kept the alias where it shall stay as it is: at the upper end of a range */
function numberOf(member: CronTerm, text: string, kept?: number): number {
  const { field } = member
  if (/^\d+$/.test(text)) {
    const value = Number(text)
    if (value === field.alias) return value === kept ? value : field.min
    if (value < field.min || value > field.max) throw refused(member, 'is out of range')
    return value
  }
  const index = field.names?.indexOf(text) ?? -1
  if (index >= 0) return index + field.min
  if (/^r(\(|$)/.test(text)) throw refused(member, 'is random: two schedulers would not agree on it')
  if (/^h(\(|$)/.test(text)) throw refused(member, 'is a hash, and there is no id to take it from')
  throw refused(member, 'is not a value')
}
