// What of a template can be judged before there is a run: its syntax, its names, its filters, and which inputs the
// task has. Params are not among it: a run may bring some of its own.
import { didYouMean } from '../nearest.ts'
import { isTemplate, parseTemplate, type TemplateExpression } from './parse-template.ts'
import { templateFilters } from './template-filters.ts'
import { templateNames } from './template-variables.ts'

/**
 * What is wrong with a text, or null.
 * @param inputNames of the task
 */
export function templateFault(text: string, inputNames: readonly string[]): string | null {
  if (!isTemplate(text)) return null
  const { parts, fault } = parseTemplate(text)
  if (parts === null) return fault
  for (const part of parts) {
    const wrong = typeof part === 'string' ? null : expressionFault(part, inputNames)
    if (wrong !== null) return wrong
  }
  return null
}

function expressionFault(
  { path, filters, literal, source }: TemplateExpression,
  inputNames: readonly string[],
): string | null {
  const known = Object.keys(templateFilters)
  const unknownFilter = filters.find((filter) => !known.includes(filter))
  if (unknownFilter !== undefined) return unknownName(source, 'filter', unknownFilter, known)
  if (literal !== null) return null
  const [name, field] = path as [string, string | number | undefined]
  if (!Object.hasOwn(templateNames, name))
    return unknownName(source, 'name', name, Object.keys(templateNames))
  const fields = name === 'inputs' ? inputNames : templateNames[name as keyof typeof templateNames]
  if (field === undefined || fields === 'any') return null
  if (fields === null) return `{{ ${source} }}: ${name} has no fields.`
  const what = name === 'inputs' ? 'input' : `field of ${name}`
  return fields.includes(String(field)) ? null : unknownName(source, what, String(field), fields)
}

/** The message for a name that is not there. */
export function unknownName(source: string, what: string, name: string, known: readonly string[]): string {
  const there = known.length === 0 ? 'There is none.' : `There is ${known.join(', ')}.`
  return `{{ ${source} }}: there is no ${what} '${name}'.${didYouMean(name, known)} ${there}`
}
