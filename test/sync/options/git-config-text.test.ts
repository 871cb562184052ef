// The grammar of --git-config, by table, and there and back by generated cases.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvalidInputError } from '../../../runtime/errors.ts'
import { parseGitConfigText } from '../../../sync/options/git-config-text.ts'

const pairs = (text: string) => parseGitConfigText(text).map(({ key, value }) => [key, value])

test.for<[string, string[][]]>([
  ['', []],
  ['k:v', [['k', 'v']]],
  ['k:v,', [['k', 'v']]],
  [
    'a.b:1,c.d:2',
    [
      ['a.b', '1'],
      ['c.d', '2'],
    ],
  ],
  ['"a.b":1', [['a.b', '1']]],
  ['"url.https://x/:y.insteadOf":z', [['url.https://x/:y.insteadOf', 'z']]],
  ['k:"v"', [['k', 'v']]],
  [
    'k:"v",l:"w",',
    [
      ['k', 'v'],
      ['l', 'w'],
    ],
  ],
  ['k:""', [['k', '']]],
  ['k:a:b', [['k', 'a:b']]],
  ['k:"a,b"', [['k', 'a,b']]],
  ['k:"a\\,b"', [['k', 'a,b']]],
  [
    'k:a\\,b,l:c',
    [
      ['k', 'a,b'],
      ['l', 'c'],
    ],
  ],
  ['k:a\\n\\t\\"\\,\\\\b', [['k', 'a\n\t",\\b']]],
  ['k:\\nb', [['k', '\nb']]],
  ['"k\\n\\t\\"\\,\\\\":v', [['k\n\t",\\', 'v']]],
  ['k\\n:v', [['k\\n', 'v']]],
  ['k:a"b"', [['k', 'a"b"']]],
  [
    ' k : v , l : w ',
    [
      [' k ', ' v '],
      [' l ', ' w '],
    ],
  ],
  ['k:ü😀', [['k', 'ü😀']]],
])('%j is %j', ([text, expected]) => {
  expect(pairs(text)).toEqual(expected)
})

test.for([
  ['k', 'unexpected end of key'],
  ['k:v,l', 'unexpected end of key'],
  [',', 'unexpected end of key'],
  [':v', 'a key is empty'],
  ['"":v', 'a key is empty'],
  ['k:', 'key "k": no value'],
  ['k:,l:w', 'key "k": no value'],
  ['"k":', 'key "k": no value'],
  ['"k"', 'key "k": no value'],
  ['"k', 'unexpected end of quoted string'],
  ['"k"x:v', 'unexpected character after quoted key "k"'],
  ['"k" :v', 'unexpected character after quoted key "k"'],
  ['k:"v', 'unexpected end of quoted string'],
  ['k:"v"x', 'unexpected character after quoted value of "k"'],
  ['k:\\x', 'unsupported escape character: "x"'],
  ['k:\\😀', 'unsupported escape character: "😀"'],
  ['"\\x":v', 'unsupported escape character: "x"'],
  ['k:\\', 'unexpected end of escape sequence'],
] as const)('%j is refused: %s', ([text, message]) => {
  expect(() => parseGitConfigText(text)).toThrow(InvalidInputError)
  expect(() => parseGitConfigText(text)).toThrow(message)
})

test('any keys and values can be written', () => {
  const names: Record<string, string> = { '\n': '\\n', '\t': '\\t', '"': '\\"', ',': '\\,', '\\': '\\\\' }
  const escaped = (text: string) => [...text].map((letter) => names[letter] ?? letter).join('')
  const filled = fc.string({ minLength: 1, unit: 'grapheme' })
  const entry = fc.record({ key: filled, value: filled, isQuoted: fc.boolean() })
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const text = entries
        .map(({ key, value, isQuoted }) =>
          isQuoted ? `"${escaped(key)}":"${escaped(value)}"` : `"${escaped(key)}":${escaped(value)}`,
        )
        .join(',')
      expect(parseGitConfigText(text)).toEqual(entries.map(({ key, value }) => ({ key, value })))
    }),
  )
})
