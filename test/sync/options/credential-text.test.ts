// The JSON of --credential, by table.
import { expect, test } from 'vitest'
import { InvalidInputError } from '../../../runtime/errors.ts'
import { parseCredentialText } from '../../../sync/options/credential-text.ts'

const entry = { url: 'u', username: 'n' }

test.for<[string, object[]]>([
  ['', []],
  [' \n', []],
  ['[]', []],
  ['{"url":"u","username":"n","password":"p"}', [{ ...entry, password: 'p' }]],
  [' [{"url":"u","username":"n","password-file":"f"}] ', [{ ...entry, passwordFile: 'f' }]],
  ['{"url":"u","username":"n","password":"","password-file":null}', [entry]],
  ['{"URL":"u","Username":"n","Password-File":"f"}', [{ ...entry, passwordFile: 'f' }]],
  ['{}', [{ url: '', username: '' }]],
])('%s is %j', ([text, expected]) => {
  expect(parseCredentialText(text)).toEqual(expected)
})

test.for([
  ['u:n:p', 'not a JSON object or list'],
  ['"x"', 'not a JSON object or list'],
  ['{"url":"u"', 'not valid JSON'],
  ['{"url":"u",}', 'not valid JSON at character 11'],
  ['["x"]', 'each entry of a list must be a JSON object'],
  ['[[]]', 'each entry of a list must be a JSON object'],
  ['[null]', 'each entry of a list must be a JSON object'],
  [
    '{"passwordfile":"f"}',
    `unknown field "passwordfile": an entry has url, username, password, password-file. Did you mean 'password-file'?`,
  ],
  ['{"url":1}', 'the field url must be a JSON string'],
] as const)('%s is refused: %s', ([text, message]) => {
  expect(() => parseCredentialText(text)).toThrow(InvalidInputError)
  expect(() => parseCredentialText(text)).toThrow(message)
})
