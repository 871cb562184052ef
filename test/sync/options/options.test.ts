// The table of options and what is made from it.
import { expect, test } from 'vitest'
import { ConfigError, InvalidInputError } from '../../../runtime/errors.ts'
import { helpText } from '../../../sync/options/help.ts'
import { optionRows, type SyncOptions } from '../../../sync/options/options.ts'
import { checkOptions, parseOptions, signalNamed } from '../../../sync/options/parse-options.ts'

function parse(argv: string[], env: NodeJS.ProcessEnv = {}): SyncOptions {
  const request = parseOptions(argv, env)
  if (request.type !== 'run') throw new Error(`asks for ${request.type}`)
  return request.options
}

const valid = ['--repo', 'https://example.com/x.git', '--root', '/tmp/x']

/** Texts of each type with the value that they mean. */
const samples = {
  string: ['text', 'text'],
  strings: ['text', ['text']],
  int: ['0x10', 16],
  bool: ['T', true],
  duration: ['1m30s', 90_000],
} as const

test('each option can be given by its variable, and by its flag, which wins', () => {
  for (const [name, row] of optionRows) {
    const [text, value] = samples[row.type]
    expect(parse([], { [row.env]: text })[name], row.env).toEqual(value)
    if (row.flag === undefined) continue
    expect(parse([`--${row.flag}=${text}`])[name], row.flag).toEqual(value)
    if (row.type === 'string') expect(parse([`--${row.flag}=flag`], { [row.env]: 'env' })[name]).toBe('flag')
  }
})

test('help names every flag and variable, and no secret has a flag', () => {
  const help = helpText()
  for (const [, row] of optionRows) {
    expect(help).toContain(`$${row.env}`)
    if (row.flag !== undefined) expect(help).toContain(`--${row.flag}`)
    if (row.secret) expect(row.flag).toBeUndefined()
  }
})

test('flags are read as GNU programs do: the last wins, a boolean needs no value, others may be apart', () => {
  expect(parse(['--depth', '1', '--depth=2']).depth).toBe(2)
  expect(parse(['--one-time', 'false']).oneTime).toBe(true)
  expect(parse(['--one-time=false'], { GITSYNC_ONE_TIME: 'true' }).oneTime).toBe(false)
  expect(['-v5', '-v=5'].map((flag) => parse([flag]).verbose)).toEqual([5, 5])
  expect(parse(['-v', '5']).verbose).toBe(5)
  expect(parse(['stray', '--depth', '3', 'stray', '--', '--depth=4']).depth).toBe(3)
})

test('keys for SSH may be several, by flag or separated by colons, and replace the default', () => {
  expect(parse([]).sshKeyFile).toEqual(['/etc/git-secret/ssh'])
  expect(
    parse(['--ssh-key-file', 'a', '--ssh-key-file=b'], { GITSYNC_SSH_KEY_FILE: 'c' }).sshKeyFile,
  ).toEqual(['a', 'b'])
  expect(parse([], { GITSYNC_SSH_KEY_FILE: 'c:d' }).sshKeyFile).toEqual(['c', 'd'])
})

test.for([
  [['--nope'], /unknown flag: --nope/],
  [['--max-failure=1'], /Did you mean '--max-failures'/],
  [['-x'], /unknown shorthand flag/],
  [['--depth', 'deep'], /invalid argument "deep" for "--depth" flag/],
  [['--period=10'], /number with a unit/],
  [['--one-time=maybe'], /true or false/],
  [['--ref'], /flag needs an argument: --ref/],
] as const)('the arguments %j are refused as usage', ([argv, message]) => {
  expect(() => parse([...argv])).toThrow(InvalidInputError)
  expect(() => parse([...argv])).toThrow(message)
})

test('a variable that is set but empty counts as set', () => {
  expect(() => parse([], { GITSYNC_DEPTH: '' })).toThrow(ConfigError)
  expect(() => parse([], { GITSYNC_PERIOD: '' })).toThrow('invalid duration env GITSYNC_PERIOD=""')
  expect(parse([], { GITSYNC_REF: '' }).ref).toBe('')
})

test.for([
  [[], {}, /required flag: --root must be specified/],
  [['--root', '/x'], {}, /required flag: --repo must be specified/],
  [[...valid, '--ref='], {}, /--ref must be a branch/],
  [[...valid, '--ref=--upload-pack=evil'], {}, /--ref must be a branch/],
  [[...valid, '--ref=main:other'], {}, /--ref must be a branch/],
  [[...valid, '--ref=+main'], {}, /--ref must be a branch/],
  [[...valid, '--ref=main~1'], {}, /--ref must be a branch/],
  [[...valid, '--repo=--evil'], {}, /--repo must be a URL/],
  [[...valid, '--depth=-1'], {}, /--depth must be 0 or more, not -1/],
  [[...valid, '--period=1ms'], {}, /--period must be at least 10ms/],
  [[...valid, '--sync-timeout=0'], {}, /--sync-timeout must be at least 10ms/],
  [[...valid, '--username=u'], {}, /GITSYNC_PASSWORD or --password-file must be specified/],
  [valid, { GITSYNC_PASSWORD: 'p' }, /--username must be specified when GITSYNC_PASSWORD is/],
  [[...valid, '--username=u', '--password-file=f'], { GITSYNC_PASSWORD: 'p' }, /not be specified together/],
  [[...valid, '--sync-on-signal=HOP'], {}, /Did you mean 'HUP'|name or number of a signal/],
] as const)('the options %j %j are refused as configuration', ([argv, env, message]) => {
  const check = () => checkOptions(parse([...argv], { ...env }))
  expect(check).toThrow(ConfigError)
  expect(check).toThrow(message)
})

test('a signal is known by name, short name and number, and must be one that can be caught', () => {
  expect(['SIGHUP', 'hup', '1', '0x1'].map(signalNamed)).toEqual(['SIGHUP', 'SIGHUP', 'SIGHUP', 'SIGHUP'])
  for (const text of ['0', '99', 'KILL', '9', '']) expect(() => signalNamed(text), text).toThrow(ConfigError)
})
