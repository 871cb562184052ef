// The JSON of --credential: one object or a list of them. What is in it is secret, so no message quotes any of it
// but the names of fields.
import { InvalidInputError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'

/** One user and password; which fields are there is checked by checkOptions. */
export interface CredentialEntry {
  readonly url: string
  readonly username: string
  readonly password?: string
  readonly passwordFile?: string
}

const fieldNames = ['url', 'username', 'password', 'password-file'] as const
type FieldName = (typeof fieldNames)[number]

/**
 * The entries of a text, in its order; an empty text has none.
 * @throws InvalidInputError for what is no JSON object or list of objects, and for unknown fields
 */
export function parseCredentialText(text: string): CredentialEntry[] {
  const trimmed = text.trim()
  if (trimmed === '') return []
  if (!/^[{[]/.test(trimmed)) throw new InvalidInputError('not a JSON object or list')
  const parsed = parseJson(trimmed)
  return (Array.isArray(parsed) ? parsed : [parsed]).map(readEntry)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // The parser's own message quotes what stands there.
    const position = /position (\d+)/.exec(String(error))?.[1]
    throw new InvalidInputError(`not valid JSON${position === undefined ? '' : ` at character ${position}`}`)
  }
}

function readEntry(parsed: unknown): CredentialEntry {
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new InvalidInputError('each entry of a list must be a JSON object')
  }
  const fields: Partial<Record<FieldName, string>> = {}
  for (const [written, value] of Object.entries(parsed)) {
    // Go takes the names of fields in any case, and null for a field that is not there.
    const name = fieldNames.find((known) => known === written.toLowerCase())
    if (name === undefined) {
      // What is no name may be a URL with a password, where someone took the object for a table.
      const shown = /^[a-z_-]+$/i.test(written) ? JSON.stringify(written) : '"…"'
      throw new InvalidInputError(
        `unknown field ${shown}: an entry has ${fieldNames.join(', ')}.${didYouMean(written, fieldNames)}`,
      )
    }
    if (value === null) continue
    if (typeof value !== 'string') throw new InvalidInputError(`the field ${name} must be a JSON string`)
    fields[name] = value
  }
  const passwordFile = fields['password-file'] ?? ''
  return {
    url: fields.url ?? '',
    username: fields.username ?? '',
    ...(fields.password ? { password: fields.password } : {}),
    ...(passwordFile === '' ? {} : { passwordFile }),
  }
}
