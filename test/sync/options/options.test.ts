// The table of options and what is made from it, row by row: each spelling of each option sets its value, and what
// is no value is refused in git-sync's words.
import { expect, test } from 'vitest'
import { ConfigError, InvalidInputError } from '../../../runtime/errors.ts'
import { helpText } from '../../../sync/options/help.ts'
import { manualText } from '../../../sync/options/manual.ts'
import type { OptionType } from '../../../sync/options/option-row.ts'
import { deprecatedRows, type OptionName, optionRows } from '../../../sync/options/options.ts'
import { parseOptions } from '../../../sync/options/parse-options.ts'
import { renderSyncOptions } from '../../../sync/options/reference.ts'
import { parse, parseRun } from './parse.ts'

interface Sample {
  text: string
  value: unknown
  /** Another text, which means something else. */
  other: string
  /** What the type does not take, with the word that git-sync has for the type and the hint of ours. */
  bad?: { texts: string[]; word: string; hint: RegExp }
}

const badInt = { texts: ['', 'deep', '1.5', '9223372036854775808'], word: 'int', hint: /whole number/ }

const samples: Record<OptionType, Sample> = {
  string: { text: 'text', value: 'text', other: '' },
  strings: { text: 'text', value: ['text'], other: 'other' },
  int: { text: '0x10', value: 16, other: '3', bad: badInt },
  'optional-int': { text: '0o17', value: 15, other: '3', bad: badInt },
  float: {
    text: '1e1',
    value: 10,
    other: '3',
    bad: { texts: ['', '1s', 'inf'], word: 'float', hint: /write a number/ },
  },
  bool: {
    text: 'T',
    value: true,
    other: 'False',
    bad: { texts: ['', 'yes', 'on', '2'], word: 'bool', hint: /true or false/ },
  },
  duration: {
    text: '1m30s',
    value: 90_000,
    other: '5s',
    bad: { texts: ['', '10', '1d', '.s', '300000000h'], word: 'duration', hint: /number with a unit/ },
  },
  credential: {
    text: '{"url":"u","username":"n","password":"p"}',
    value: [{ url: 'u', username: 'n', password: 'p' }],
    other: '[]',
    bad: { texts: ['no', '{', '{"user":"x"}'], word: 'credential', hint: /JSON|unknown field/ },
  },
  'git-config': {
    text: 'http.proxy:x,',
    value: [{ key: 'http.proxy', value: 'x' }],
    other: 'http.proxy:y',
  },
}

/** Variables of a row, each of which alone sets its value. */
const variablesOf = (row: (typeof optionRows)[number][1]): string[] => [
  ...(row.env === undefined ? [] : [row.env]),
  ...(row.oldEnv ?? []),
]

test.for(optionRows)('%s is set by each of its variables and by its flag', ([name, row]) => {
  const { text, value, other } = samples[row.type]
  const isSet = (argv: string[], env: NodeJS.ProcessEnv = {}) =>
    expect(parse(argv, env)[name], JSON.stringify([argv, env])).toEqual(value)

  for (const variable of variablesOf(row)) isSet([], { [variable]: text })
  const flag = row.flag ?? `__env__${row.env}`
  isSet([`--${flag}=${text}`])
  if (row.type !== 'bool') isSet([`--${flag}`, text])
  if (row.short !== undefined) {
    isSet([`-${row.short}${text}`])
    isSet([`-${row.short}`, text])
    isSet([`-${row.short}=${text}`])
  }
  for (const variable of variablesOf(row)) isSet([`--${flag}=${text}`], { [variable]: other })
})

test.for(optionRows.filter(([, { oldEnv }]) => oldEnv !== undefined))(
  'old variables of %s win over the new one, the last of them over all, and each is told',
  ([name, row]) => {
    const { text, value, other } = samples[row.type]
    const names = variablesOf(row)
    const last = names.at(-1)!
    const env = Object.fromEntries(names.map((variable) => [variable, variable === last ? text : other]))
    const { options, notes } = parseRun([], env)
    expect(options[name]).toEqual(value)
    expect(notes).toEqual([
      ...row.oldEnv!.map((old) => `env $${old} has been deprecated, use $${row.env} instead`),
      `env $${row.env} was overridden by $${last}`,
    ])
  },
)

test.for([...optionRows, ...deprecatedRows].filter(([, row]) => samples[row.type].bad !== undefined))(
  'values that %s does not take are refused by variable and flag',
  ([, row]) => {
    const { texts, word, hint } = samples[row.type].bad!
    for (const text of texts) {
      const quoted = row.secret ? '' : `=${JSON.stringify(text)}`
      if (row.env !== undefined) {
        const run = () => parse(['--help'], { [row.env!]: text })
        expect(run, row.env).toThrow(ConfigError)
        expect(run).toThrow(`invalid ${word} env ${row.env}${quoted}: `)
        expect(run).toThrow(hint)
      }
      if (row.flag !== undefined) {
        const short = 'short' in row && row.short ? `-${row.short}, ` : ''
        const run = () => parse([`--${row.flag}=${text}`])
        expect(run, row.flag).toThrow(InvalidInputError)
        expect(run).toThrow(
          `invalid argument${row.secret ? '' : ` ${JSON.stringify(text)}`} for "${short}--${row.flag}" flag: `,
        )
        expect(run).toThrow(hint)
      }
    }
  },
)

test('help, manual and reference page have every flag and variable, and no word of a hidden flag', () => {
  const [help, manual, page] = [helpText(), manualText(), renderSyncOptions()]
  for (const [name, row] of optionRows) {
    const flags = row.flag === undefined ? [] : [`--${row.flag}`]
    for (const word of [...flags, ...(row.env ?? '').split(' ')]) {
      expect(help, name).toContain(word)
      expect(manual, name).toContain(word)
      expect(page, name).toContain(word)
    }
    for (const word of row.oldEnv ?? []) {
      expect(manual, name).toContain(`$${word}`)
      expect(page, name).toContain(`\`${word}\``)
    }
  }
  for (const [, { flag, advice }] of deprecatedRows) {
    for (const text of [help, manual, page]) expect(text.replace(/\s+/g, ' ')).toContain(`--${flag}`)
    expect(page).toContain(advice)
  }
  for (const text of [help, manual, page]) expect(text).not.toContain('__env__')
})

test('no flag, shorthand or variable is there twice', () => {
  const rows = [...optionRows, ...deprecatedRows].map(([, row]) => row)
  const flags = rows.flatMap(({ flag }) => flag ?? [])
  const variables = [
    ...optionRows.flatMap(([, row]) => variablesOf(row)),
    ...deprecatedRows.flatMap(([, { env }]) => env ?? []),
  ]
  expect(flags).toEqual([...new Set(flags)])
  expect(variables).toEqual([...new Set(variables)])
})

test('what is a secret can be given without an argument that others can read', () => {
  const ownFlag = optionRows.filter(([, { secret, flag, type }]) => secret && flag && type === 'string')
  expect(ownFlag).toEqual([])
})

test('defaults are those of git-sync', () => {
  const expected: Partial<Record<OptionName, unknown>> = {
    ref: 'HEAD',
    depth: 1,
    submodules: 'recursive',
    period: 10_000,
    initPeriod: 0,
    syncTimeout: 120_000,
    maxFailures: 0,
    initMaxFailures: undefined,
    exechookTimeout: 30_000,
    exechookBackoff: 3_000,
    webhookMethod: 'POST',
    webhookSuccessStatus: 200,
    webhookTimeout: 1_000,
    credential: [],
    sshKeyFile: ['/etc/git-secret/ssh'],
    sshKnownHosts: true,
    sshKnownHostsFile: '/etc/git-secret/known_hosts',
    githubBaseUrl: 'https://api.github.com/',
    git: 'git',
    gitConfig: [],
    gitGc: 'always',
    gateTimeout: 30_000,
    gateBackoff: 60_000,
    unknownEnv: 'error',
    verbose: 0,
  }
  expect(parse([])).toMatchObject(expected)
})

test.for([
  [['--version', '--help'], 'version'],
  [['--man', '-h'], 'help'],
  [['-?'], 'help'],
  [['--man'], 'man'],
  [['--help=false', '--man'], 'man'],
  [['-hv5'], 'help'],
] as const)('%j asks for the %s', ([argv, type]) => {
  expect(parseOptions(argv, { GIT_SYNC_REPO: 'x' })).toEqual({
    type,
    notes: ['env $GIT_SYNC_REPO has been deprecated, use $GITSYNC_REPO instead'],
  })
})

test('help does not hide a flag that cannot be read, nor a variable', () => {
  expect(() => parse(['--help', '--nope'])).toThrow(InvalidInputError)
  expect(() => parse(['--help'], { GITSYNC_DEPTH: 'deep' })).toThrow(ConfigError)
})
