// Renders templated strings, alone or deep within an object. Pure: the scheduler calls it, so nothing of a user's is
// called, and a name that is not there is refused instead of left empty.
import { TemplateError } from '../errors.ts'
import { unknownName } from './check-template.ts'
import { isTemplate, parseTemplate, type TemplateExpression } from './parse-template.ts'
import { templateFilters, templateText } from './template-filters.ts'
import type { TemplateVariables } from './template-variables.ts'

/**
 * A text with its expressions replaced. Texts come as they are, everything else as JSON.
 * @param place where it stands, for messages: `task 'x' of Dag 'y', option 'arguments[1]'`
 * @param encode applied to what is put in, and not to the text around it
 * @throws TemplateError where it cannot be read, or names what this run does not have
 */
export function renderTemplate(
  text: string,
  variables: TemplateVariables,
  place: string,
  encode: (rendered: string) => string = (rendered) => rendered,
): string {
  if (!isTemplate(text)) return text
  const { parts, fault } = parseTemplate(text)
  if (parts === null) throw new TemplateError(`${place}: ${fault}`)
  return parts
    .map((part) => (typeof part === 'string' ? part : encode(render(part, variables, place))))
    .join('')
}

function render(
  { path, literal, filters, source }: TemplateExpression,
  variables: TemplateVariables,
  place: string,
): string {
  let value: unknown = literal ?? valueAt(path, source, variables, place)
  for (const name of filters) {
    const filter = Object.hasOwn(templateFilters, name) ? templateFilters[name]! : null
    if (filter === null) {
      throw new TemplateError(
        `${place}: ${unknownName(source, 'filter', name, Object.keys(templateFilters))}`,
      )
    }
    try {
      value = filter(value)
    } catch (error) {
      throw new TemplateError(`${place}: {{ ${source} }}: ${(error as Error).message}`, { cause: error })
    }
  }
  return templateText(value)
}

/** Names whose value depends on how the run was made; a null in params or inputs is an ordinary value. */
const timeNames = new Set([
  ...['ds', 'ds_nodash', 'ts', 'ts_nodash', 'ts_nodash_with_tz'],
  ...['logical_date', 'data_interval_start', 'data_interval_end'],
])

function valueAt(
  path: readonly (string | number)[],
  source: string,
  variables: TemplateVariables,
  place: string,
): unknown {
  let value: unknown = variables
  for (const [index, key] of path.entries()) {
    const isHolder = typeof value === 'object' && value !== null
    if (!isHolder || !Object.hasOwn(value as object, key)) {
      const parent = path.slice(0, index).join('.')
      if (!isHolder) throw new TemplateError(`${place}: {{ ${source} }}: ${parent} has no fields.`)
      const what = parent === '' ? 'name' : `field of ${parent}`
      if (Array.isArray(value)) {
        throw new TemplateError(
          `${place}: {{ ${source} }}: ${parent} has ${value.length} items, and no item ${key}.`,
        )
      }
      const known = Object.keys(value as object)
      throw new TemplateError(`${place}: ${unknownName(source, what, String(key), known.slice(0, 50))}`)
    }
    value = (value as Record<string | number, unknown>)[key]
  }
  if (value === null && timeNames.has(String(path.at(-1))) && path[0] !== 'params' && path[0] !== 'inputs') {
    throw new TemplateError(
      `${place}: {{ ${source} }}: run ${variables.run_id} has no such time, as it was triggered without one; give it a logical date`,
    )
  }
  return value
}
