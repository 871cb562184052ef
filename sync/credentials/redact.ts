// Secrets taken out of whatever is to be logged or written. A secret is recognised letter by letter in each way in
// which something between us and a server may have written it: as it is, percent-encoded (either case, any of its
// letters), JSON-escaped (once or twice), quoted for a shell; and together with its user in base64, as in a
// header. Of a secret of several lines (a private key) each line is one.
//
// A secret of 1 to 3 letters is hidden only where its surroundings say that it is one (`user:abc@`,
// `password=abc`, `GITSYNC_PASSWORD=abc`, base64 with its user): replaced everywhere, it would make nonsense of every log line, and tell
// by the pattern of holes what it is.

const replacement = 'REDACTED'

/** Shorter secrets are hidden by their surroundings alone. Larger: more secrets are. */
const minPlainLength = 4

/**
 * What may be a secret or not (a user name without a password, a value in a query) is one from this length on.
 * Larger: short tokens are logged. Smaller: names of people and branches are hidden.
 */
export const minTokenLength = 16

/**
 * So many generations of each source stay hidden. Smaller: what git says of a password that has just been
 * replaced may be logged. Larger: a sync whose password changes every 10 s searches for more and more.
 */
const rememberedGenerations = 4

/** What one source (an option, a file, an answer) has of secrets at one time. */
export interface Secrets {
  /** Whose password the values are, where they are a user's. */
  username?: string
  values: readonly string[]
}

export interface Redactor {
  /** Hides these from now on. @param source whose they are; of each the latest generations are remembered */
  remember(source: string, secrets: Secrets): void
  redact(text: string): string
}

export function createRedactor(): Redactor {
  const sources = new Map<string, string[]>()
  let pattern: RegExp | undefined

  return {
    remember: (source, secrets) => {
      const generation = JSON.stringify([secrets.username ?? '', ...secrets.values])
      const known = sources.get(source) ?? []
      if (known[0] === generation) return
      const others = known.filter((other) => other !== generation)
      sources.set(source, [generation, ...others].slice(0, rememberedGenerations))
      pattern = patternOf([...sources.values()].flat().map((known) => JSON.parse(known)))
    },
    redact: (text) => (pattern === undefined ? text : text.replace(pattern, replacement)),
  }
}

/** Names before a value that say that it is a secret; our own variables for git have a number behind. */
const secretName =
  '(?:password|PASSWORD|token|TOKEN|secret|SECRET|PRIVATE_KEY|GIT_CONFIG_VALUE)(?:_\\d+)?[=:] ?'

function patternOf(generations: readonly [string, ...string[]][]): RegExp | undefined {
  const plain = new Set<string>()
  const short = new Set<string>()
  for (const [username, ...values] of generations) {
    for (const value of values) {
      for (const line of linesOf(value)) (line.length < minPlainLength ? short : plain).add(line)
      const [first] = linesOf(value)
      if (username === '' || first === undefined) continue
      const encoded = Buffer.from(`${username}:${first}`).toString('base64').replace(/=+$/, '')
      plain.add(encoded).add(encoded.replaceAll('+', '-').replaceAll('/', '_'))
    }
  }
  // The longest first: one secret may begin with another.
  const patterns = [...plain].sort((a, b) => b.length - a.length).map(spellings)
  for (const secret of short) {
    patterns.push(`(?<=:)${spellings(secret)}(?=@)|(?<=${secretName})${spellings(secret)}(?![^\\s"'&,;])`)
  }
  return patterns.length === 0 ? undefined : new RegExp(patterns.join('|'), 'gu')
}

/** Without the frame of a PEM file, which everyone knows. */
function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('-----'))
}

/** A pattern for the text in whatever spelling. */
function spellings(text: string): string {
  return [...text].map(letterSpellings).join('')
}

const jsonEscapes: Readonly<Record<string, string>> = {
  '\b': 'b',
  '\f': 'f',
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
}

function letterSpellings(letter: string): string {
  // Nobody writes these in another way.
  if (/^[A-Za-z0-9_-]$/.test(letter)) return letter
  const bytes = [...Buffer.from(letter)].map((byte) => `%${anyCase(byte.toString(16).padStart(2, '0'))}`)
  const units = letter.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'))
  const found = [
    units.map((unit) => `\\\\{1,2}u${anyCase(unit)}`).join(''),
    ...(jsonEscapes[letter] === undefined ? [] : [`\\\\{1,2}${jsonEscapes[letter]}`]),
    ...(letter === ' ' ? ['\\+'] : []),
    bytes.join(''),
    letterItself(letter),
  ]
  return `(?:${found.join('|')})`
}

/** The letter with the backslashes that JSON or a shell puts before it. */
function letterItself(letter: string): string {
  if (letter === '\\') return '(?:\\\\{4}|\\\\{2}|\\\\)'
  if (letter === '"') return '\\\\{0,3}"'
  if (letter === "'") return "(?:'\\\\{1,2}''|')"
  if (letter === '!') return "(?:'\\\\{1,2}!'|!)"
  if (letter === '/') return '\\\\{0,2}/'
  return letter.replace(/[$()*+.?[\]^{|}]/, '\\$&')
}

function anyCase(hex: string): string {
  return hex.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)
}
