// The grammar of --git-config: pairs `key:value`, separated by commas. A key is quoted or runs to the first colon,
// without escapes; a value is quoted or runs to the next comma that is not escaped. Values may be secrets (headers
// with tokens), so no message quotes one.
import { InvalidInputError } from '../../runtime/errors.ts'

/** One pair; `key` as `git config` names it. */
export interface GitConfigEntry {
  readonly key: string
  readonly value: string
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', '"': '"', ',': ',', '\\': '\\' }

/**
 * A key as messages name it. Not quoted where it may be a part of a secret: the rest of a value with a comma that was
 * not escaped, or a URL with a password (`url.<base>.insteadOf`).
 * @param index of its pair, from 0
 */
export function nameOfKey(key: string, index: number): string {
  return index === 0 && !key.includes('@') ? JSON.stringify(key) : `"…" (pair ${index + 1})`
}

/**
 * The pairs of a text, in its order; a comma at the end is allowed, an empty text has none. Spaces are kept.
 * @throws InvalidInputError that says what is wrong at which character, without any value
 */
export function parseGitConfigText(text: string): GitConfigEntry[] {
  const entries: GitConfigEntry[] = []
  let at = 0

  const fail = (problem: string): never => {
    throw new InvalidInputError(`${problem} (character ${at + 1})`)
  }

  /** The character of an escape, whose backslash is at `at`. */
  function readEscape(): string {
    const written = text[at + 1]
    if (written === undefined) return fail('unexpected end of escape sequence: write \\\\ for a backslash')
    const meant = Object.hasOwn(escapes, written) ? escapes[written] : undefined
    if (meant === undefined) {
      const shown = JSON.stringify(String.fromCodePoint(text.codePointAt(at + 1)!))
      return fail(`unsupported escape character: ${shown}: only \\n \\t \\" \\, and \\\\ are escapes`)
    }
    at += 2
    return meant
  }

  /** Up to the first of `ends` that is not escaped; leaves `at` there. */
  function readUntil(ends: string): string {
    let read = ''
    while (at < text.length && !ends.includes(text[at]!)) {
      read += text[at] === '\\' ? readEscape() : text[at++]
    }
    return read
  }

  function readQuoted(what: string): string {
    at++
    const read = readUntil('"')
    if (at >= text.length) fail(`unexpected end of quoted string: ${what} has no closing quote`)
    at++
    return read
  }

  function readKey(): string {
    if (text[at] === '"') {
      const key = readQuoted('a key')
      if (at >= text.length) fail(`key ${nameOfKey(key, entries.length)}: no value: write key:value`)
      if (text[at] !== ':')
        fail(`unexpected character after quoted key ${nameOfKey(key, entries.length)}: write a colon`)
      at++
      return key
    }
    const colon = text.indexOf(':', at)
    // What has no colon may be the rest of a value with a comma, and so a part of a secret.
    if (colon < 0) return fail('unexpected end of key: write key:value, and \\, for a comma within a value')
    const key = text.slice(at, colon)
    at = colon + 1
    return key
  }

  function readValue(key: string): string {
    const name = nameOfKey(key, entries.length)
    if (at >= text.length || text[at] === ',') fail(`key ${name}: no value: write key:"" for an empty one`)
    if (text[at] !== '"') return readUntil(',')
    const value = readQuoted(`the value of ${name}`)
    if (at < text.length && text[at] !== ',') {
      fail(`unexpected character after quoted value of ${name}: write a comma before the next key`)
    }
    return value
  }

  while (at < text.length) {
    const key = readKey()
    if (key === '') fail('a key is empty: write key:value')
    entries.push({ key, value: readValue(key) })
    at++
  }
  return entries
}
