// Reading options that an author wrote: each function takes where the option stands (for the message), its name
// and its value, and gives the value in the manifest's terms or refuses it. TypeScript has checked most of this
// already; it is checked again because Dags are also made in loops from data, and because type stripping runs
// code that does not compile.
import { inspect } from 'node:util'
import { type Duration, durationMs } from '../duration.ts'
import { DagDefinitionError, messageOf } from '../errors.ts'
import { didYouMean } from '../nearest.ts'

/** Where an option stands and what it is called: `{ place: "Dag 'daily'", option: 'tags' }`. */
export interface OptionPlace {
  place: string
  option: string
}

/** Text of any value, short enough for one line of a message. */
export function shown(value: unknown): string {
  const text = inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY })
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

/** @throws DagDefinitionError always */
export function refuse({ place, option }: OptionPlace, value: unknown, expected: string): never {
  throw new DagDefinitionError(`${place}: option '${option}' is ${shown(value)}, but must be ${expected}`, {
    details: { place, option },
  })
}

/**
 * Refuses keys that are no options, naming the nearest that is one.
 * @throws DagDefinitionError
 */
export function checkOptionNames(place: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new DagDefinitionError(`${place}: the options are ${shown(options)}, but must be an object`)
  }
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue
    throw new DagDefinitionError(
      `${place}: there is no option '${option}'.${didYouMean(option, known)} Known are ${known.join(', ')}.`,
      { details: { place, option } },
    )
  }
}

/** Text that is not blank; null where absent. */
export function readText(at: OptionPlace, value: unknown): string | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'string' || value.trim() === '') refuse(at, value, 'text that is not blank')
  return value
}

export function readBoolean(at: OptionPlace, value: unknown): boolean | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'boolean') refuse(at, value, 'true or false')
  return value
}

/** A whole number of at least `minimum`; `fallback` where absent. */
export function readInteger(at: OptionPlace, value: unknown, fallback: number, minimum: number): number {
  if (value === undefined) return fallback
  if (!Number.isSafeInteger(value) || (value as number) < minimum) {
    const bound = minimum === Number.MIN_SAFE_INTEGER ? '' : ` of ${minimum} or more`
    refuse(at, value, `a whole number${bound}`)
  }
  return value as number
}

/** Milliseconds; null where absent. */
export function readDurationMs(at: OptionPlace, value: unknown, minimumMs = 0): number | null {
  if (value === undefined || value === null) return null
  let ms: number
  try {
    ms = durationMs(value as Duration)
  } catch (error) {
    throw new DagDefinitionError(`${at.place}: option '${at.option}': ${messageOf(error)}`, {
      details: { ...at },
      cause: error,
    })
  }
  if (ms < minimumMs) refuse(at, value, `a duration of ${minimumMs} ms or more`)
  return ms
}

/** One of `choices`; `fallback` where absent. */
export function readChoice<Choice extends string>(
  at: OptionPlace,
  value: unknown,
  fallback: Choice,
  choices: readonly Choice[],
): Choice {
  if (value === undefined) return fallback
  if (choices.includes(value as Choice)) return value as Choice
  const expected = choices.map((choice) => `'${choice}'`).join(' or ')
  return refuse(at, value, `${expected}.${typeof value === 'string' ? didYouMean(value, choices) : ''}`)
}
