import { expect, test } from 'vitest'
import { createOptionRedactor } from '../../sync/option-secrets.ts'
import { parse, required } from './options/parse.ts'

const redactorOf = (argv: string[], env: NodeJS.ProcessEnv = {}) =>
  createOptionRedactor(parse([...required, ...argv], env), argv)

test('every option that is secret is hidden', () => {
  const { redact } = redactorOf([], {
    GITSYNC_LISTEN_SECRET: 'listen-secret\nolder-secret',
    GITSYNC_PASSWORD: 'pass-word',
    GITSYNC_GITHUB_APP_PRIVATE_KEY: 'key-of-the-app',
    GITSYNC_GIT_CONFIG: 'http.extraHeader:X: short,core.x:true',
  })
  expect(redact('listen-secret older-secret pass-word key-of-the-app <X: short>')).toBe(
    'REDACTED REDACTED REDACTED REDACTED <REDACTED>',
  )
})

test('values of --git-config are hidden, also a token alone and passwords in URLs; plain settings are not', () => {
  const { redact } = redactorOf([
    '--git-config=http.extraHeader:Authorization: Bearer tok_0123456789abcdef',
    '--git-config-add="url.https://u:hunter2@h/.insteadOf":"https://h/",http.sslVerify:false',
    '--git-config-add=http.proxy:http://me:hunter3@proxy:3128,core.compression:0',
  ])
  const shown = redact('tok_0123456789abcdef hunter2 https://u:hunter2@h hunter3; false 0 https://x')
  expect(shown).toBe('REDACTED REDACTED https://u:REDACTED@h REDACTED; false 0 https://x')
})

test('the command line shows no value of a secret flag, however it is written, and no webhook', () => {
  const argv = [
    '--git-config=http.extraHeader:with\\,comma',
    ...['--git-config-add', 'a.b:"quo\\"ted"'],
    '--credential={"url":"https://h","username":"u","password":"pa\\u0073s"}',
    '--__env__GITSYNC_PASSWORD=hunter2',
    '--webhook-url=https://me:hunter3@hooks.example/services/T00000000/B0000000000000000?token=abcdefabcdefabcdef',
    '--ref=main',
  ]
  const { redact } = redactorOf(argv)
  expect(argv.map(redact)).toEqual([
    '--git-config=REDACTED',
    ...['--git-config-add', 'REDACTED'],
    '--credential=REDACTED',
    '--__env__GITSYNC_PASSWORD=REDACTED',
    '--webhook-url=https://me:REDACTED@hooks.exampleREDACTED',
    '--ref=main',
  ])
})
