// The syntax of templated strings: text with `{{ … }}` in it. Within the braces stands a name with its fields
// (`params.region`, `inputs.orders[0]['net total']`) or a text in quotes, and after it filters (`| ds_nodash`). It is
// a small part of Jinja's syntax, chosen so that what it takes means the same there: no statements, no calculation, no
// calls, because it is rendered by the scheduler, which runs no code of users. Text without `{{` is left as it is.

/** What stands between two braces. */
export interface TemplateExpression {
  /** A name and the fields below it; empty for a text in quotes. */
  path: (string | number)[]
  /** The text in quotes; null for a name. */
  literal: string | null
  filters: string[]
  /** As it was written, without the braces, for messages. */
  source: string
}

export type TemplatePart = string | TemplateExpression

export type ParsedTemplate =
  | { parts: TemplatePart[]; fault: null }
  /** What cannot be read, and what to write instead. */
  | { parts: null; fault: string }

const tokenPattern =
  /\s*(?:(?<end>\}\})|(?<name>[A-Za-z_]\w*)|(?<index>\d+)|(?<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?<mark>[.|[\]]))/y

type TokenKind = 'end' | 'name' | 'index' | 'quoted' | 'mark'
interface Token {
  kind: TokenKind
  text: string
}

const advice = "Write {{ '{{' }} where two braces are meant as they are."

/** Whether there is anything to render. */
export function isTemplate(text: string): boolean {
  return text.includes('{{')
}

/** The parts of a text, in order; it never throws. */
export function parseTemplate(text: string): ParsedTemplate {
  const parts: TemplatePart[] = []
  let at = 0
  while (true) {
    const open = text.indexOf('{{', at)
    if (open === -1) break
    if (open > at) parts.push(text.slice(at, open))
    const reader = tokensOf(text, open + 2)
    const expression = readExpression(reader)
    if (typeof expression === 'string') return { parts: null, fault: `${expression} ${advice}` }
    parts.push({ ...expression, source: text.slice(open + 2, reader.position() - 2).trim() })
    at = reader.position()
  }
  if (at < text.length) parts.push(text.slice(at))
  return { parts, fault: null }
}

interface TokenReader {
  next(): Token | null
  /** Behind the last token. */
  position(): number
  /** What stands there, for a message. */
  rest(): string
}

function tokensOf(text: string, start: number): TokenReader {
  let at = start
  return {
    next() {
      tokenPattern.lastIndex = at
      const groups = tokenPattern.exec(text)?.groups
      if (groups === undefined) return null
      at = tokenPattern.lastIndex
      const [kind, token] = Object.entries(groups).find(([, value]) => value !== undefined)!
      return { kind: kind as TokenKind, text: token }
    },
    position: () => at,
    rest: () => JSON.stringify(shortened(text.slice(start - 2))),
  }
}

/** @returns what is wrong, as text, where it is no expression */
function readExpression(reader: TokenReader): Omit<TemplateExpression, 'source'> | string {
  const expression: Omit<TemplateExpression, 'source'> = { path: [], literal: null, filters: [] }
  const wrong = (expected: string) => `${reader.rest()} cannot be read: ${expected}.`
  const first = reader.next()
  if (first?.kind === 'name') expression.path.push(first.text)
  else if (first?.kind === 'quoted') expression.literal = unquoted(first.text)
  else return wrong("after '{{' comes a name such as ds or params.region")
  while (true) {
    const token = reader.next()
    if (token === null) return wrong("'}}' is missing, or what stands before it is no name, field or filter")
    if (token.kind === 'end') return expression
    const field = reader.next()
    if (token.text === '|') {
      if (field?.kind !== 'name') return wrong("after '|' comes the name of a filter")
      expression.filters.push(field.text)
    } else if (token.text === '.' && expression.literal === null && expression.filters.length === 0) {
      if (field?.kind !== 'name' && field?.kind !== 'index')
        return wrong("after '.' comes the name of a field")
      expression.path.push(field.kind === 'index' ? Number(field.text) : field.text)
    } else if (token.text === '[' && expression.literal === null && expression.filters.length === 0) {
      const close = reader.next()
      if ((field?.kind !== 'quoted' && field?.kind !== 'index') || close?.text !== ']') {
        return wrong("between '[' and ']' stands a number or a text in quotes")
      }
      expression.path.push(field.kind === 'index' ? Number(field.text) : unquoted(field.text))
    } else {
      return wrong(`'${token.text}' is not expected there`)
    }
  }
}

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/g, '$1')
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}
