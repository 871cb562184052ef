// Conditions on an object of Kubernetes, as in Argo's `successCondition`: terms with ',' or '&&' between them, all of
// which must hold.
//
//   status.succeeded > 0
//   status.phase in (Succeeded, Completed), status.observedGeneration >= 2
//   status.conditions[type=Ready].status = True
//   status.error                        it is there
//   !status.error                       it is not
//
// A path leads through fields; `[0]` is an element of a list, `[type=Ready]` the first whose field has that value.
// Numbers are compared as numbers, all else as text. What is not there equals nothing and is not in any list. Pure.

type Step = string | number | { field: string; value: string }

export interface ConditionTerm {
  path: Step[]
  operator: '=' | '!=' | '>' | '>=' | '<' | '<=' | 'in' | 'notin' | 'exists' | 'absent'
  values: string[]
  /** As it was written. */
  source: string
}

export type ParsedCondition = { terms: ConditionTerm[]; fault: null } | { terms: null; fault: string }

/** It never throws. */
export function parseCondition(text: string): ParsedCondition {
  const terms: ConditionTerm[] = []
  for (const source of splitTerms(text)) {
    const term = parseTerm(source)
    if (term === null) {
      return {
        terms: null,
        fault: `'${source}' is no condition: write 'status.phase = Ready', 'status.count > 0', 'status.phase in (A, B)', or 'status.error' where it is enough that it is there`,
      }
    }
    terms.push(term)
  }
  return terms.length === 0 ? { terms: null, fault: 'it is empty' } : { terms, fault: null }
}

/** At ',' and '&&' that are in no brackets or quotation marks. */
function splitTerms(text: string): string[] {
  const parts = text.match(/(?:"[^"]*"|\([^)]*\)|\[[^\]]*\]|(?<!&)&(?!&)|[^,&"([]|["([])+/g) ?? []
  return parts.map((part) => part.trim()).filter((part) => part !== '')
}

const pathText = String.raw`[\w-]+(?:\.[\w-]+|\[[^\]]+\])*`
const comparisonPattern = new RegExp(`^(${pathText})\\s*(==|=|!=|>=|<=|>|<)\\s*([^=~<>!\\s].*)$`)
const membershipPattern = new RegExp(`^(${pathText})\\s+(in|notin)\\s*\\(([^)]*)\\)$`)
const presencePattern = new RegExp(`^(!?)\\s*(${pathText})$`)

function parseTerm(source: string): ConditionTerm | null {
  const membership = membershipPattern.exec(source)
  if (membership !== null) {
    const [, path, operator, list] = membership as unknown as [string, string, 'in' | 'notin', string]
    return withPath({ operator, values: list.split(',').map(unquoted), source }, path)
  }
  const comparison = comparisonPattern.exec(source)
  if (comparison !== null) {
    const [, path, sign, value] = comparison as unknown as [
      string,
      string,
      ConditionTerm['operator'] | '==',
      string,
    ]
    const operator = sign === '==' ? '=' : sign
    return withPath({ operator, values: [unquoted(value)], source }, path)
  }
  const presence = presencePattern.exec(source)
  if (presence === null) return null
  const [, not, path] = presence as unknown as [string, string, string]
  return withPath({ operator: not === '!' ? 'absent' : 'exists', values: [], source }, path)
}

function withPath(term: Omit<ConditionTerm, 'path'>, text: string): ConditionTerm | null {
  const path: Step[] = []
  for (const [step] of text.matchAll(/[\w-]+(?![^[]*\])|\[[^\]]+\]/g)) {
    if (!step.startsWith('[')) {
      path.push(step)
      continue
    }
    const inner = step.slice(1, -1).trim()
    const where = /^([\w-]+)\s*==?\s*(.+)$/.exec(inner)
    if (where !== null) path.push({ field: where[1]!, value: unquoted(where[2]!) })
    else if (/^\d+$/.test(inner)) path.push(Number(inner))
    else return null
  }
  return { ...term, path }
}

function unquoted(text: string): string {
  return text.trim().replace(/^(["'])(.*)\1$/, '$2')
}

/** Whether all terms hold of `object`. @param terms of `parseCondition` */
export function holds(terms: readonly ConditionTerm[], object: unknown): boolean {
  return terms.every((term) => termHolds(term, valueAt(object, term.path)))
}

function termHolds({ operator, values }: ConditionTerm, value: unknown): boolean {
  const isThere = value !== undefined && value !== null
  if (operator === 'exists') return isThere
  if (operator === 'absent') return !isThere
  if (operator === 'notin' || operator === '!=') return !isThere || !values.some((one) => isEqual(value, one))
  if (!isThere) return false
  if (operator === 'in' || operator === '=') return values.some((one) => isEqual(value, one))
  const [left, right] = [Number(value), Number(values[0])]
  if (operator === '>') return left > right
  if (operator === '>=') return left >= right
  return operator === '<' ? left < right : left <= right
}

function isEqual(value: unknown, text: string): boolean {
  if (typeof value === 'number') return value === Number(text)
  return (typeof value === 'string' ? value : JSON.stringify(value)) === text
}

function valueAt(object: unknown, path: readonly Step[]): unknown {
  return path.reduce<unknown>((value, step) => {
    if (value === null || typeof value !== 'object') return undefined
    if (typeof step !== 'object') {
      return Object.hasOwn(value, step) ? (value as Record<string | number, unknown>)[step] : undefined
    }
    const isIt = (item: unknown) =>
      isEqual((item as Record<string, unknown> | null)?.[step.field], step.value)
    return Array.isArray(value) ? value.find(isIt) : undefined
  }, object)
}
