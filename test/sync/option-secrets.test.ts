import { expect, test } from 'vitest'
import { createOptionRedactor } from '../../sync/option-secrets.ts'
import { parse, required } from './options/parse.ts'

const redactorOf = (argv: string[], env: NodeJS.ProcessEnv = {}) =>
  createOptionRedactor(parse([...required, ...argv], env), argv, env)

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

test('of the environment nothing secret is shown, by whatever name it came and whichever name won', () => {
  const env = {
    GITSYNC_PASSWORD: 'loses-1',
    GIT_SYNC_PASSWORD: 'wins-1',
    GITSYNC_REPO: 'https://u:loses-2@h/r',
    GIT_SYNC_REPO: 'https://u:wins-2@h/r',
    GITSYNC_WEBHOOK_URL: 'https://hooks.example/services/T00000000B0000000',
    GIT_SYNC_WEBHOOK_URL: 'http://u:wins-3@hooks.example/',
    GITSYNC_GIT_CONFIG: 'http.extraHeader:loses-4',
    GIT_SYNC_GIT_CONFIG: 'http.extraHeader:wins-4',
    GITSYNC_CREDENTIAL: '[\n{"url":"https://h","username":"u","password":"p\\u0061ss-5"}\n]',
    HTTPS_PROXY: 'http://u:proxy-6@proxy:3128',
    no_proxy: 'localhost',
  }
  const { redact } = redactorOf(
    ['--__env__GITSYNC_PASSWORD=of-the-flag-1', '--repo=https://u:flag-2@h/r'],
    env,
  )
  const printed = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  expect(redact(printed.join('\n')).split('\n')).toEqual([
    'GITSYNC_PASSWORD=REDACTED',
    'GIT_SYNC_PASSWORD=REDACTED',
    'GITSYNC_REPO=https://u:REDACTED@h/r',
    'GIT_SYNC_REPO=https://u:REDACTED@h/r',
    'GITSYNC_WEBHOOK_URL=https://hooks.exampleREDACTED',
    'GIT_SYNC_WEBHOOK_URL=http://u:REDACTED@hooks.example/',
    'GITSYNC_GIT_CONFIG=REDACTED',
    'GIT_SYNC_GIT_CONFIG=REDACTED',
    'GITSYNC_CREDENTIAL=[',
    'REDACTED',
    ']',
    'HTTPS_PROXY=http://u:REDACTED@proxy:3128',
    'no_proxy=localhost',
  ])
  expect(redact('of-the-flag-1 flag-2')).toBe('REDACTED REDACTED')
})
