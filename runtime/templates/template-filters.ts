// The filters of templated strings: Airflow's for times, and three of Jinja's that need no explanation.
import { timeFilters } from './template-variables.ts'

/**
 * Filter → what it makes of a value.
 * @throws Error where the value is none that it takes, with words for the author
 */
export const templateFilters: Record<string, (value: unknown) => string> = {
  ...Object.fromEntries(
    Object.entries(timeFilters).map(([name, spell]) => [
      name,
      (value: unknown) => spell(timeOf(name, value)),
    ]),
  ),
  tojson: (value) => JSON.stringify(value),
  lower: (value) => templateText(value).toLowerCase(),
  upper: (value) => templateText(value).toUpperCase(),
}

function timeOf(filter: string, value: unknown): string {
  if (typeof value === 'string' && !Number.isNaN(Date.parse(value))) return value
  throw new Error(`the filter ${filter} takes a time, not ${JSON.stringify(value)}`)
}

/** A value within a text: text as it is, anything else as JSON. */
export function templateText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
