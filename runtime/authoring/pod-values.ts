// Reading the values of operators' options: like option-values.ts, but null counts as absent everywhere, numbers of
// time are seconds as in Airflow, and objects of Kubernetes are taken as plain JSON in Kubernetes' own spelling.
//
// What an API server does not know it leaves out with a warning that nobody sees. So the commonest slip of who comes
// from Python, `mount_path` for `mountPath`, is refused here.
import { isTemplate } from '../templates/parse-template.ts'
import { type OptionPlace, readDurationMs, refuse } from './option-values.ts'

/** Reads one option; null where it was not given. */
export type Reader<Value> = (at: OptionPlace, value: unknown) => Value | null

const within = (at: OptionPlace, step: string): OptionPlace => ({ ...at, option: `${at.option}${step}` })

const isPlainObject = (value: unknown): value is Record<string, unknown> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // The Dag module and this one may come from different realms, each with an Object of its own.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

export const text: Reader<string> = (at, value) => {
  if (value === undefined || value === null) return null
  if (typeof value !== 'string' || value.trim() === '') refuse(at, value, 'text that is not blank')
  return value
}

export const flag: Reader<boolean> = (at, value) => {
  if (value === undefined || value === null) return null
  return typeof value === 'boolean' ? value : refuse(at, value, 'true or false')
}

export const wholeNumber =
  (minimum: number): Reader<number> =>
  (at, value) => {
    if (value === undefined || value === null) return null
    if (Number.isSafeInteger(value) && (value as number) >= minimum) return value as number
    return refuse(at, value, `a whole number of ${minimum} or more`)
  }

/** Whole seconds. A number is seconds, as the names and Airflow say; a text has its unit: '2m'. */
export const seconds =
  (minimum: number): Reader<number> =>
  (at, value) => {
    if (value === undefined || value === null) return null
    const given = typeof value === 'string' ? readDurationMs(at, value)! / 1000 : value
    if (Number.isSafeInteger(given) && (given as number) >= minimum) return given as number
    return refuse(at, value, `whole seconds, ${minimum} or more, or a duration such as '2m'`)
  }

export const choice =
  <const Choice extends string>(...choices: readonly Choice[]): Reader<Choice> =>
  (at, value) => {
    if (value === undefined || value === null) return null
    if (choices.includes(value as Choice)) return value as Choice
    return refuse(at, value, choices.map((one) => `'${one}'`).join(' or '))
  }

/** Texts; a single one may stand for a list of one. */
export const texts: Reader<string[]> = (at, value) => {
  if (value === undefined || value === null) return null
  const list = typeof value === 'string' ? [value] : value
  if (!Array.isArray(list)) return refuse(at, value, 'a list of texts')
  const wrong = list.findIndex((item) => typeof item !== 'string')
  if (wrong !== -1) refuse(within(at, `[${wrong}]`), list[wrong], 'text')
  return [...(list as string[])]
}

/** Name → text. Numbers and truth values would become text only in Python. */
export const textMap: Reader<Record<string, string>> = (at, value) => {
  if (value === undefined || value === null) return null
  if (!isPlainObject(value)) return refuse(at, value, 'an object: name → text')
  for (const [name, item] of Object.entries(value)) {
    if (typeof item !== 'string') refuse(within(at, `.${name}`), item, 'text')
  }
  return { ...(value as Record<string, string>) }
}

export const exitCodes: Reader<number[]> = (at, value) => {
  if (value === undefined || value === null) return null
  const codes: unknown[] = Array.isArray(value) ? value : [value]
  const isExitCode = (code: unknown) =>
    Number.isInteger(code) && (code as number) >= 1 && (code as number) <= 255
  if (!codes.every(isExitCode)) refuse(at, value, 'an exit code from 1 to 255, or a list of them')
  return codes as number[]
}

/** An object of Kubernetes. */
export const kubernetesObject =
  <Type>(): Reader<Type> =>
  (at, value) => {
    if (value === undefined || value === null) return null
    if (!isPlainObject(value)) return refuse(at, value, 'an object of Kubernetes, as in YAML')
    return plainJson(at, value) as Type
  }

/** Objects of Kubernetes, each of which needs these fields. */
export const kubernetesList = <Type>(...required: readonly string[]): Reader<Type[]> =>
  listOfObjects<Type>(required, 'none')

/** Objects of any kind, whose fields only the cluster knows: spelled as they are. */
export const anyObjects = (...required: readonly string[]): Reader<Record<string, unknown>[]> =>
  listOfObjects<Record<string, unknown>>(required, 'all')

const listOfObjects =
  <Type>(required: readonly string[], free: FreeNames): Reader<Type[]> =>
  (at, value) => {
    if (value === undefined || value === null) return null
    if (!Array.isArray(value)) return refuse(at, value, 'a list of objects of Kubernetes, as in YAML')
    return value.map((item: unknown, index) => {
      const place = within(at, `[${index}]`)
      if (!isPlainObject(item)) return refuse(place, item, 'an object of Kubernetes, as in YAML')
      const json = plainJson(place, item, free) as Record<string, unknown>
      const missing = required.find((field) => json[field] === undefined || json[field] === null)
      if (missing !== undefined)
        refuse(place, item, `an object with ${required.join(' and ')}: it has no ${missing}`)
      return json as Type
    })
  }

/** Below these stand names of the author's own. */
const freeMaps = new Set([
  ...['labels', 'annotations', 'matchLabels', 'nodeSelector', 'limits', 'requests', 'volumeAttributes'],
  ...['options', 'data', 'stringData', 'binaryData', 'overhead'],
])

/** Whose names are free: none; the value's own, not those below them; all. */
type FreeNames = 'none' | 'own' | 'all'

/** A copy as it comes back from JSON. */
function plainJson(at: OptionPlace, value: unknown, free: FreeNames = 'none'): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  const below = (name: string): FreeNames => (free === 'all' ? 'all' : freeMaps.has(name) ? 'own' : 'none')
  if (Array.isArray(value)) {
    return value.map((item, index) => plainJson(within(at, `[${index}]`), item, below('')))
  }
  if (!isPlainObject(value)) {
    return refuse(at, value, 'plain JSON: objects, lists, texts, numbers, true, false, null')
  }
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, field]) => {
      if (field === undefined) return []
      if (free === 'none') refuseSnakeCase(at, name)
      return [[name, plainJson(within(at, `.${name}`), field, below(name))]]
    }),
  )
}

function refuseSnakeCase(at: OptionPlace, name: string): void {
  if (!/^[a-z]+(_[a-z0-9]+)+$/.test(name)) return
  const spelled = name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  refuse(at, name, `a field in Kubernetes' own spelling, as in YAML: ${spelled}`)
}

/** Whether a text that has no templates left to be rendered fits the pattern. */
export function fitsUnlessTemplate(value: string, pattern: RegExp): boolean {
  return isTemplate(value) || pattern.test(value)
}
