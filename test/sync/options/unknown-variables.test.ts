// Variables that look like ours: a misspelt one stops the start, what Kubernetes makes for Services does not.
import { expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { checkOptions } from '../../../sync/options/check-options.ts'
import { deprecatedRows, optionRows } from '../../../sync/options/options.ts'
import { unknownVariablesIn } from '../../../sync/options/unknown-variables.ts'
import { parseRun, required } from './parse.ts'

const start = (env: NodeJS.ProcessEnv, ...argv: string[]) =>
  checkOptions(parseRun([...required, ...argv], env).options)

test.for([
  [
    { GITSYNC_REFF: 'x' },
    "invalid environment: env $GITSYNC_REFF is read by no option. Did you mean 'GITSYNC_REF'?",
  ],
  [{ GITSYNC_MAX_FAILURE: '1' }, "Did you mean 'GITSYNC_MAX_FAILURES'?"],
  [{ GIT_SYNC_REF: 'x' }, "env $GIT_SYNC_REF is read by no option. Did you mean 'GITSYNC_REF'?"],
  [{ GITSYNC_DEST: 'x' }, "Did you mean 'GIT_SYNC_DEST'?"],
  [
    { GITSYNC_QQQQQQQQQQQQ: '' },
    'env $GITSYNC_QQQQQQQQQQQQ is read by no option. Unset it, or start with --unknown-env=warn',
  ],
  [{ GITSYNC_HTTP_PORT: '80' }, 'env $GITSYNC_HTTP_PORT is read by no option.'],
  [
    { GITSYNC_RREPO: '', GIT_SYNC_DPETH: '' },
    "env $GITSYNC_RREPO is read by no option. Did you mean 'GITSYNC_REPO'?",
  ],
  [
    { GITSYNC_RREPO: '', GIT_SYNC_DPETH: '' },
    "env $GIT_SYNC_DPETH is read by no option. Did you mean 'GIT_SYNC_DEPTH'?",
  ],
] as const)('%j stops the start', ([env, message]) => {
  expect(() => start({ ...env })).toThrow(ConfigError)
  expect(() => start({ ...env })).toThrow(message)
})

test('a misspelt variable is told before what is missing because of it', () => {
  const { options } = parseRun(['--root=/x'], { GITSYNC_REPOO: 'y' })
  expect(() => checkOptions(options)).toThrow("Did you mean 'GITSYNC_REPO'?")
})

test('--unknown-env=warn tells and goes on', () => {
  const env = { GITSYNC_REFF: 'x', GITSYNC_UNKNOWN_ENV: 'warn' }
  expect(parseRun(required, env).notes).toEqual([
    "env $GITSYNC_REFF is read by no option. Did you mean 'GITSYNC_REF'?",
  ])
  expect(() => start(env)).not.toThrow()
  expect(() => start(env, '--unknown-env=error')).toThrow(ConfigError)
  expect(parseRun(required, { GITSYNC_REFF: 'x' }).notes).toEqual([])
})

test.for(['GIT_SYNC', 'GITSYNC', 'GIT_SYNC_HTTP', 'GITSYNC_WEB_2'])(
  'the variables of a Service whose name becomes %s are let be',
  (service) => {
    const address = 'tcp://10.0.0.1:80'
    const env = Object.fromEntries(
      [
        ['SERVICE_HOST', '10.0.0.1'],
        ['SERVICE_PORT', '80'],
        ['SERVICE_PORT_HTTP', '80'],
        ['SERVICE_PORT_METRICS_2', '80'],
        ['PORT', address],
        ['PORT_80_TCP', address],
        ['PORT_80_TCP_PROTO', 'tcp'],
        ['PORT_80_TCP_PORT', '80'],
        ['PORT_80_TCP_ADDR', '10.0.0.1'],
        ['PORT_53_UDP', 'udp://10.0.0.1:53'],
      ].map(([name, value]) => [`${service}_${name}`, value]),
    )
    expect(unknownVariablesIn(env)).toEqual([])
  },
)

test('every variable of the table is known, and those of others are none of ours', () => {
  const names = [
    ...optionRows.flatMap(([, { env = [], oldEnv = [] }]) => [env, oldEnv].flat()),
    ...deprecatedRows.flatMap(([, { env }]) => env ?? []),
    ...['GITSYNC_HASH', 'GIT_SYNC_SSH', 'PATH', 'GIT_DIR', 'GITSYNC', 'MY_GITSYNC_X', 'gitsync_x'],
  ]
  expect(unknownVariablesIn(Object.fromEntries(names.map((name) => [name, 'x'])))).toEqual([])
})
