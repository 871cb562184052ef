// The names of operators' options: camel case as everywhere here, and Airflow's snake case for what is moved over.
import { DagDefinitionError } from '../errors.ts'
import { didYouMean } from '../nearest.ts'
import { shown } from './option-values.ts'

/** `podTemplateFile` → `pod_template_file`, for the compiler. */
type SnakeCase<Text extends string> = Text extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${SnakeCase<Tail>}`
  : ''

/** The same options under their names in snake case. */
export type SnakeCased<Options> = {
  [Name in keyof Options as Name extends string ? SnakeCase<Name> : never]: Options[Name]
}

/** `podTemplateFile` → `pod_template_file`. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** `pod_template_file` → `podTemplateFile`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

/**
 * The options that were given, under their names in camel case; what is undefined counts as absent.
 * @param known in camel case
 * @throws DagDefinitionError for a name that is unknown, or given in both spellings
 */
export function optionsInCamelCase(
  place: string,
  options: unknown,
  known: readonly string[],
): Record<string, unknown> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new DagDefinitionError(`${place}: the options are ${shown(options)}, but must be an object`)
  }
  const given: Record<string, unknown> = {}
  const spelled: Record<string, string> = {}
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    const isSnakeCase = name.includes('_')
    const camel = isSnakeCase ? camelCase(name) : name
    if (!known.includes(camel)) {
      const near = didYouMean(name, isSnakeCase ? known.map(snakeCase) : known)
      throw new DagDefinitionError(
        `${place}: there is no option '${name}'.${near} docs/airflow.md lists all that there are.`,
        { details: { place, option: name } },
      )
    }
    if (spelled[camel] !== undefined) {
      throw new DagDefinitionError(
        `${place}: option '${camel}' is given twice, as '${spelled[camel]}' and as '${name}': leave one of them out`,
        { details: { place, option: camel } },
      )
    }
    spelled[camel] = name
    given[camel] = value
  }
  return given
}
