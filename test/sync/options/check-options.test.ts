// What options must be to work: each refusal with git-sync's beginning, in its order, and without any secret.
import { expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { checkOptions } from '../../../sync/options/check-options.ts'
import { signalNamed } from '../../../sync/options/sync-signal.ts'
import { parse, parseRun, required } from './parse.ts'

const github = [
  '--github-app-client-id=c',
  '--github-app-installation-id=1',
  '--github-app-private-key-file=k',
]
const credential = (fields: object) => [`--credential=${JSON.stringify(fields)}`]

test.for<[readonly string[], NodeJS.ProcessEnv, string]>([
  [['--root=/x'], {}, 'required flag: --repo must be specified'],
  [['--repo=/x'], {}, 'required flag: --root must be specified'],
  [['--ref='], {}, 'required flag: --ref must be specified'],
  [['--ref=--upload-pack=evil'], {}, 'invalid flag: --ref must be a branch'],
  [['--ref=main:other'], {}, 'invalid flag: --ref must be a branch'],
  [['--ref=+main'], {}, 'invalid flag: --ref must be a branch'],
  [['--ref=main~1'], {}, 'invalid flag: --ref must be a branch'],
  [['--repo=--evil'], {}, 'invalid flag: --repo must be a URL'],
  [
    ['--branch=b', '--rev=v'],
    {},
    "deprecated flag combo: can't set --ref from deprecated --branch and --rev (one or the other is OK)",
  ],
  [['--branch=b'], { GIT_SYNC_REV: 'v' }, 'deprecated flag combo: '],
  [['--depth=-1'], {}, 'invalid flag: --depth must be greater than or equal to 0, not -1'],
  [['--depth=2147483648'], {}, 'invalid flag: --depth must be at most 2147483647'],
  [
    ['--submodules=all'],
    {},
    'invalid flag: --submodules must be one of "recursive", "shallow", or "off", not "all"',
  ],
  [
    ['--git-gc='],
    {},
    'invalid flag: --git-gc must be one of "auto", "always", "aggressive", or "off", not ""',
  ],
  [['--git='], {}, 'invalid flag: --git must be a path or a name'],
  [['--period=1ms'], {}, 'invalid flag: --period must be at least 10ms, not 1ms'],
  [['--wait=0.001'], {}, 'invalid flag: --period must be at least 10ms, not 1ms'],
  [['--wait=-1'], {}, 'invalid flag: --period must be at least 10ms, not -1s'],
  [['--init-period=9ms'], {}, 'invalid flag: --init-period must be at least 10ms, not 9ms'],
  [['--change-permissions=0744'], {}, 'deprecated flag: --change-permissions is no longer supported'],
  [[], { GIT_SYNC_PERMISSIONS: '1' }, 'deprecated flag: --change-permissions is no longer supported'],
  [
    ['--sync-on-signal=HOP'],
    {},
    'invalid flag: --sync-on-signal must be a valid signal name or number, not "HOP"',
  ],
  [['--sync-timeout=0'], {}, 'invalid flag: --sync-timeout must be at least 10ms, not 0s'],
  [['--timeout=-1'], {}, 'invalid flag: --sync-timeout must be at least 10ms, not -1s'],
  ...['exechook', 'pre-publish-exechook', 'gate'].flatMap((hook) =>
    ['timeout', 'backoff'].map((part): [string[], object, string] => [
      [`--${hook}-command=/h`, `--${hook}-${part}=999ms`],
      {},
      `invalid flag: --${hook}-${part} must be at least 1s, not 999ms`,
    ]),
  ),
  [
    ['--webhook-url=u', '--webhook-success-status=-2'],
    {},
    'invalid flag: --webhook-success-status must be a valid HTTP code or 0, not -2',
  ],
  [['--webhook-url=u', '--webhook-timeout=1ms'], {}, 'invalid flag: --webhook-timeout must be at least 1s'],
  [['--webhook-url=u', '--webhook-backoff=1ms'], {}, 'invalid flag: --webhook-backoff must be at least 1s'],
  ...['not a url', 'ftp://h/', 'http://me:secret@', '/path'].map((url): [string[], object, string] => [
    [`--webhook-url=${url}`],
    {},
    'invalid flag: --webhook-url must be an http or https URL, such as http://localhost:8080/reload',
  ]),
  ...['NOT ONE', 'CONNECT', 'é'].map((method): [string[], object, string] => [
    ['--webhook-url=http://u', `--webhook-method=${method}`],
    {},
    `invalid flag: --webhook-method must be an HTTP method, such as POST, not "${method}"`,
  ]),
  ...['1234', ':', ':x', ':70000', '127.0.0.1:'].flatMap((bind): [string[], object, string][] => [
    [[`--http-bind=${bind}`], {}, `invalid flag: --http-bind must be :port or address:port, not "${bind}"`],
    [
      [`--listen=${bind}`],
      { GITSYNC_LISTEN_SECRET: 's' },
      `invalid flag: --listen must be :port or address:port, not "${bind}"`,
    ],
  ]),
  [
    ['--username=u'],
    {},
    'required flag: $GITSYNC_PASSWORD or --password-file must be specified when --username is specified',
  ],
  [
    ['--username=u', '--password-file=f'],
    { GITSYNC_PASSWORD: 'p' },
    'invalid flag: only one of $GITSYNC_PASSWORD and --password-file may be specified',
  ],
  [
    ['--username=u', '--repo=https://me:p@example.com/x'],
    { GITSYNC_PASSWORD: 'p' },
    'invalid flag: credentials may not be specified in --repo when --username is specified',
  ],
  [[], { GITSYNC_PASSWORD: 'p' }, 'invalid flag: $GITSYNC_PASSWORD may only be specified when --username is'],
  [['--password-file=f'], {}, 'invalid flag: --password-file may only be specified when --username is'],
  [
    [...github, '--github-app-application-id=1'],
    {},
    'invalid flag: only one of --github-app-application-id or --github-app-client-id may be specified',
  ],
  [
    ['--github-app-client-id=c'],
    {},
    'invalid flag: --github-app-installation-id must be specified when --github-app-application-id or --github-app-client-id are specified',
  ],
  [
    ['--github-app-application-id=1', '--github-app-installation-id=1'],
    {},
    'invalid flag: $GITSYNC_GITHUB_APP_PRIVATE_KEY or --github-app-private-key-file must be specified when',
  ],
  [
    github,
    { GITSYNC_GITHUB_APP_PRIVATE_KEY: 'k' },
    'invalid flag: only one of $GITSYNC_GITHUB_APP_PRIVATE_KEY or --github-app-private-key-file may be',
  ],
  [
    [...github, '--username=u', '--password-file=f'],
    {},
    'invalid flag: --username may not be specified when --github-app-private-key-file is specified',
  ],
  [
    ['--github-app-installation-id=1'],
    {},
    'invalid flag: --github-app-installation-id may only be specified when --github-app-private-key-file is',
  ],
  [credential({ username: 'n', password: 'p' }), {}, 'invalid flag: --credential URL must be specified'],
  [credential({ url: 'u', password: 'p' }), {}, 'invalid flag: --credential username must be specified'],
  [
    credential({ url: 'u', username: 'n', password: '' }),
    {},
    'invalid flag: --credential password or password-file must be specified (entry 1 of 1)',
  ],
  [
    credential({ url: 'u', username: 'n', password: 'p', 'password-file': 'f' }),
    {},
    'invalid flag: only one of --credential password and password-file may be specified',
  ],
  [['--http-metrics'], {}, 'required flag: --http-bind must be specified when --http-metrics is set'],
  [['--http-pprof'], {}, 'required flag: --http-bind must be specified when --http-pprof is set'],
  [['--listen=:1'], {}, 'required flag: --listen-secret-file or $GITSYNC_LISTEN_SECRET must be specified'],
  [['--git-config=x'], {}, 'invalid flag: --git-config must be pairs key:value, separated by commas: '],
  [['--git-config-add=a.b:\\x'], {}, 'invalid flag: --git-config-add must be pairs'],
  [['--unknown-env=maybe'], {}, 'invalid flag: --unknown-env must be one of "error" or "warn", not "maybe"'],
])('the options %j %j are refused as configuration', ([argv, env, message]) => {
  const isOfRequired = argv.length === 1 && /^--(root|repo)=\/x$/.test(argv[0]!)
  const options = parse(isOfRequired ? argv : [...required, ...argv], env)
  expect(() => checkOptions(options)).toThrow(ConfigError)
  try {
    checkOptions(options)
  } catch (error) {
    expect((error as Error).message.startsWith(message), String(error)).toBe(true)
  }
})

test.for<[readonly string[], NodeJS.ProcessEnv]>([
  [[], {}],
  // The limits of hooks count only where there is a hook.
  [['--exechook-timeout=0', '--gate-backoff=0', '--webhook-timeout=0', '--webhook-success-status=-5'], {}],
  [['--webhook-url=http://u', '--webhook-success-status=-1'], {}],
  [['--webhook-url=https://u:p@h:1/x?y', '--webhook-method=PATCH'], {}],
  [['--webhook-url=http://u', '--webhook-method='], {}],
  [['--webhook-method=not one', '--http-bind='], {}],
  [['--period=10ms', '--sync-timeout=10ms', '--init-period=10ms'], {}],
  ...[
    ...['http://host/x@v1', 'https://host:8080/@scope/x', 'http://[::1]:80/x@y', 'http://u:p@h/x@y'],
    ...[
      'https://u:p%2Fq@host:1/x',
      'https://token@host/x?y#z',
      'git@host:a@b',
      '/srv/a:b@c',
      'ssh://h:x/y@z',
    ],
  ].map((repo): [string[], object] => [[`--repo=${repo}`], {}]),
  [['--repo=git@example.com:x.git', '--username=u', '--password-file=f'], {}],
  [['--branch=b', '--rev=HEAD'], {}],
  [github, {}],
  [credential({ url: 'u', username: 'n', 'password-file': 'f' }), {}],
  [['--listen=:1'], { GITSYNC_LISTEN_SECRET: 's' }],
  [['--http-bind=:1', '--http-metrics', '--http-pprof'], {}],
  [['--http-bind=[::1]:0', '--listen=localhost:65535'], { GITSYNC_LISTEN_SECRET: 's' }],
  [['--max-failures=-1', '--init-max-failures=-1', '--depth=0'], {}],
])('the options %j %j are taken', ([argv, env]) => {
  expect(() => checkOptions(parse([...required, ...argv], env))).not.toThrow()
})

test('any status of a webhook counts as success by -1 as well as by 0', () => {
  expect(parse(['--webhook-success-status=-1']).webhookSuccessStatus).toBe(0)
})

test('no refusal quotes a secret', () => {
  const secret = 'hunter2hunter2'
  const attempts: [string[], NodeJS.ProcessEnv?][] = [
    [[`--credential={"url":"u","username":"n","password":"${secret}"`]],
    [[`--credential={"url":"u","username":"n","password":"${secret}","x":1}`]],
    [[`--credential={"url":"u","username":"n","password":["${secret}"]}`]],
    [[`--credential=${secret}`]],
    [[], { GITSYNC_CREDENTIAL: `{${secret}` }],
    [[`--credential={"url":"u","password":"${secret}"}`]],
    [[`--git-config=http.extraHeader:Bearer ${secret}\\x`]],
    [[`--git-config=http.extraHeader:"${secret}`]],
    [[`--git-config=http.extraHeader:"${secret}"x`]],
    [[`--git-config=http.extraHeader:a,${secret}`]],
    [[`--pasword=${secret}`]],
    [[], { GITSYNC_PASWORD: secret }],
    [[`--webhook-url=ftp://me:${secret}@host/`]],
    [['--username=u', `--repo=https://me:${secret}@example.com/x`], { GITSYNC_PASSWORD: secret }],
    ...['/', '?', '#', '/@', '#/'].map((reserved): [string[]] => [
      [`--repo=http://me:pa${reserved}${secret}@example.com/x`],
    ]),
    [[`--repo=http://me:/${secret}@example.com/x`]],
    [[`--repo=http://me:p@ss:wo/${secret}@example.com/x`]],
    [[`--repo=http://me:123456/${secret}@example.com/x`]],
    [[`--repo=http://me:${secret}@example.com:port/x`]],
    [[`--webhook-url=http://me:/${secret}@host/`]],
    [[`--credential={"url":"http://me:pa/${secret}@h","username":"n","password":"p"}`]],
    [[`--credential={"https://me:${secret}@h":"p"}`]],
    [[`--git-config=http.extraHeader:a,${secret}:`]],
    [[`--git-config="url.https://me:${secret}@h/.insteadOf"`]],
    [[], { GITSYNC_PASSWORD: secret }],
  ]
  for (const [argv, env] of attempts) {
    const start = () => checkOptions(parseRun([...required, ...argv], env).options)
    expect(start, argv.join(' ')).toThrow()
    try {
      start()
    } catch (error) {
      expect((error as Error).message).not.toContain(secret)
    }
  }
})

test('a signal is known by name, short name and number, and must be one that can be caught', () => {
  expect(['SIGHUP', 'hup', '1', '0x1'].map(signalNamed)).toEqual(['SIGHUP', 'SIGHUP', 'SIGHUP', 'SIGHUP'])
  for (const text of ['0', '99', 'KILL', '9', '']) expect(() => signalNamed(text), text).toThrow(ConfigError)
  expect(() => signalNamed('SIGHOP')).toThrow("Did you mean 'SIGHUP'?")
})
