import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRedactor } from '../../../sync/credentials/redact.ts'

const username = 'reader'

function redactorOf(password: string) {
  const redactor = createRedactor()
  redactor.remember('test', { username, values: [password] })
  return redactor
}

/** What may write a secret down, and how. */
const writers: Record<string, (password: string) => string> = {
  'as it is': (password) => password,
  percent: encodeURIComponent,
  'percent, lower case': (password) =>
    encodeURIComponent(password).replace(/%../g, (hex) => hex.toLowerCase()),
  'percent, all that is reserved': (password) =>
    encodeURIComponent(password).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`),
  'as a form': (password) => new URLSearchParams({ x: password }).toString().slice(2),
  JSON: (password) => JSON.stringify(password).slice(1, -1),
  'JSON of ASCII': (password) =>
    JSON.stringify(password)
      .slice(1, -1)
      .replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
  'JSON in JSON': (password) => JSON.stringify(JSON.stringify(password)).slice(3, -3),
  'a shell': (password) => password.replace(/['!]/g, "'\\$&'"),
}

test.for(Object.entries(writers))('a password is hidden however it is written: %s', ([, write]) => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 4, unit: 'binary' }).filter((text) => !/[\r\n]/.test(text)),
      (password) => {
        fc.pre(!password.startsWith('-----'))
        expect(redactorOf(password).redact(`<${write(password)}>`)).toBe('<REDACTED>')
      },
    ),
  )
})

test('a password is hidden in the headers that carry it', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }).filter((text) => !/[\r\n]/.test(text)),
      (password) => {
        fc.pre(!password.startsWith('-----'))
        for (const encoding of ['base64', 'base64url'] as const) {
          const header = Buffer.from(`${username}:${password}`).toString(encoding).replace(/=+$/, '')
          expect(redactorOf(password).redact(`Authorization: Basic ${header}`)).toBe(
            'Authorization: Basic REDACTED',
          )
        }
      },
    ),
  )
})

test('a password of up to three letters is hidden where it stands as one, and words stay readable', () => {
  const { redact } = redactorOf('abc')
  expect(redact('https://reader:abc@host/abc password=abc, "password":"x" abcdef')).toBe(
    'https://reader:REDACTED@host/abc password=REDACTED, "password":"x" abcdef',
  )
  expect(redactorOf('').redact('an empty one changes nothing')).toBe('an empty one changes nothing')
})

test('a password of up to three letters is hidden in an environment that a program prints', () => {
  const { redact } = redactorOf('abc')
  const names = ['GITSYNC_PASSWORD', 'GIT_SYNC_PASSWORD', 'BRANCHLINE_SYNC_PASSWORD_10', 'GIT_CONFIG_VALUE_0']
  for (const name of names) expect(redact(`${name}=abc\nX=abc`)).toBe(`${name}=REDACTED\nX=abc`)
})

test('each line of a private key is hidden, in whatever it is quoted', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const redactor = createRedactor()
  redactor.remember('key', { values: [pem] })
  const lines = pem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'))
  for (const text of [pem, JSON.stringify({ key: pem }), encodeURIComponent(pem), lines[3]!]) {
    const redacted = redactor.redact(text)
    for (const line of lines) expect(redacted).not.toContain(line)
    expect(redacted).toContain('REDACTED')
  }
})

test('of passwords that contain each other the longer one is hidden whole', () => {
  const redactor = createRedactor()
  redactor.remember('a', { values: ['secret'] })
  redactor.remember('b', { values: ['secret-and-more'] })
  expect(redactor.redact('secret secret-and-more')).toBe('REDACTED REDACTED')
})

test('the latest four passwords of a source are hidden, and no more are kept', () => {
  const redactor = createRedactor()
  for (const n of [1, 2, 3, 4, 5, 5]) redactor.remember('file', { username, values: [`password-${n}`] })
  redactor.remember('other', { values: ['other-secret'] })
  expect(redactor.redact('password-1 password-2 password-5 other-secret')).toBe(
    'password-1 REDACTED REDACTED REDACTED',
  )
})
