// One value from its text, by the type of its row; and what to say where the text is none.
import { messageOf } from '../../runtime/errors.ts'
import { parseCredentialText } from './credential-text.ts'
import { parseGoBool, parseGoDuration, parseGoFloat, parseGoInt } from './go-values.ts'
import type { OptionType } from './option-row.ts'

/** `git-config` stays text here: what is wrong with it belongs into the error file, and so to checkOptions. */
export type Reading = { value: unknown } | { problem: string }

/** What messages and help call a type; git-sync's words. */
export const typeNames: Readonly<Record<OptionType, string>> = {
  string: 'string',
  strings: 'string',
  int: 'int',
  'optional-int': 'int',
  float: 'float',
  bool: 'bool',
  duration: 'duration',
  credential: 'credential',
  'git-config': 'string',
}

/** The value of a text; or what would be one. */
export function readValue(type: OptionType, text: string): Reading {
  switch (type) {
    case 'string':
    case 'git-config':
      return { value: text }
    case 'strings':
      return { value: text.split(':') }
    case 'int':
    case 'optional-int':
      return reading(parseGoInt(text), 'write a whole number of 64 bits, for instance 3')
    case 'float':
      return reading(parseGoFloat(text), 'write a number, for instance 0.5')
    case 'bool':
      return reading(parseGoBool(text), 'write true or false (a flag: after an equals sign)')
    case 'duration':
      return reading(
        parseGoDuration(text),
        'write a number with a unit (ns, us, ms, s, m, h), for instance 100ms, 30s or 1h30m; at most 292 years',
      )
    case 'credential':
      try {
        return { value: parseCredentialText(text) }
      } catch (error) {
        return { problem: messageOf(error) }
      }
  }
}

function reading(value: unknown, otherwise: string): Reading {
  return value === undefined ? { problem: otherwise } : { value }
}
