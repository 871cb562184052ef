import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { type ConfigInputs, loadConfig } from '../../runtime/config.ts'
import { configEntries, renderConfig, renderConfigReference } from '../../runtime/config-render.ts'
import { type ConfigKey, configKeys, configTable, variableOf } from '../../runtime/config-table.ts'
import type { Setting } from '../../runtime/setting.ts'
import { taskVariables } from '../../runtime/task-variables.ts'

/** Loads with these files on an otherwise empty disk. */
function load(inputs: Partial<ConfigInputs> & { files?: Record<string, unknown> } = {}) {
  const { files = {}, ...given } = inputs
  return loadConfig({
    env: {},
    cwd: '/project',
    readFile: (path) => (path in files ? JSON.stringify(files[path]) : undefined),
    ...given,
  })
}

test('without any input every setting has its default, and paths are absolute', () => {
  const { values, sources } = load()
  expect(values).toMatchObject({
    database_url: null,
    data_dir: '/project/.branchline',
    logs_dir: '/project/.branchline/logs',
    dags_folder: '.',
    scheduler_lease_ttl: 1_500,
    xcom_max_bytes: 1_048_576,
    local_executor_slots: availableParallelism(),
    web_port: 8080,
  })
  expect(new Set(Object.values(sources))).toEqual(new Set(['default']))
  expect(Object.keys(values).sort()).toEqual([...configKeys].sort())
})

test('the variables that a command of a Dag sees are no settings, so it may call branchline', () => {
  const env = Object.fromEntries(taskVariables.map((name) => [name, 'x']))
  expect(load({ env })).toEqual(load())
})

test('flags win over the environment, that over the file, that over defaults', () => {
  const { values, sources } = load({
    files: { '/project/branchline.config.json': { web_port: 1, web_host: 'file', log_level: 'warn' } },
    env: { BRANCHLINE_WEB_PORT: '2', BRANCHLINE_WEB_HOST: 'environment' },
    flags: { web_port: 3, log_level: undefined },
  })
  expect(values).toMatchObject({ web_port: 3, web_host: 'environment', log_level: 'warn', dags_folder: '.' })
  expect(sources).toMatchObject({
    web_port: 'flag --web-port',
    web_host: 'environment BRANCHLINE_WEB_HOST',
    log_level: 'file /project/branchline.config.json',
    dags_folder: 'default',
  })
})

test('a relative path counts from the file that has it, or from the working directory', () => {
  const files = { '/etc/branchline/config.json': { data_dir: 'data' } }
  const { values } = load({ files, flags: { config: '/etc/branchline/config.json', source_path: 'dags' } })
  expect(values.data_dir).toBe('/etc/branchline/data')
  expect(values.logs_dir).toBe('/etc/branchline/data/logs')
  expect(values.source_path).toBe('/project/dags')
})

test('BRANCHLINE_CONFIG names the file, and a named file must exist', () => {
  const files = { '/project/other.json': { web_port: 7 } }
  expect(load({ files, env: { BRANCHLINE_CONFIG: 'other.json' } }).values.web_port).toBe(7)
  expect(() => load({ env: { BRANCHLINE_CONFIG: 'other.json' } })).toThrow(
    '/project/other.json does not exist',
  )
})

test('an empty variable and a null in the file count as absent', () => {
  const files = { '/project/branchline.config.json': { web_port: null } }
  const { values, sources } = load({ files, env: { BRANCHLINE_DATABASE_URL: '' } })
  expect(values).toMatchObject({ web_port: 8080, database_url: null })
  expect(sources.web_port).toBe('default')
})

test.each<[string, Parameters<typeof load>[0], RegExp]>([
  [
    'an unknown key in the file',
    { files: { '/project/branchline.config.json': { web_prot: 1 } } },
    /unknown key 'web_prot' in .*branchline\.config\.json\. Did you mean 'web_port'\?/,
  ],
  [
    'an unknown variable',
    { env: { BRANCHLINE_WEB_PROT: '1' } },
    /unknown environment variable BRANCHLINE_WEB_PROT\. Did you mean 'BRANCHLINE_WEB_PORT'\?/,
  ],
  [
    'an unknown flag',
    { flags: { web_prot: 1 } as never },
    /unknown flag --web-prot\. Did you mean 'web_port'\?/,
  ],
  [
    'a file that is a list',
    { files: { '/project/branchline.config.json': [] } },
    /must hold one JSON object/,
  ],
  ['a file that is no JSON', { readFile: () => '{,}' }, /branchline\.config\.json is not JSON/],
  [
    'a heartbeat timeout that the interval exceeds',
    { flags: { task_heartbeat_interval: '10s', task_heartbeat_timeout: '10s' } },
    /at least twice task_heartbeat_interval/,
  ],
  [
    'a value of the wrong kind',
    { env: { BRANCHLINE_WEB_PORT: '80a' } },
    /web_port .*"80a" is not understood/,
  ],
])('%s stops the start', (_, inputs, message) => {
  expect(() => load(inputs)).toThrow(message)
  expect(() => load(inputs)).toThrow(expect.objectContaining({ code: 'CONFIG' }))
})

test.each<[ConfigKey, unknown, unknown]>([
  ['allow_install_scripts', 'true', true],
  ['allow_install_scripts', '0', false],
  ['allow_install_scripts', false, false],
  ['task_kill_grace', '1m30s', 90_000],
  ['task_kill_grace', '250', 250],
  ['task_kill_grace', 0, 0],
  ['xcom_max_bytes', '64KiB', 65_536],
  ['xcom_max_bytes', '2 mib', 2_097_152],
  ['xcom_max_bytes', 10, 10],
  ['web_port', '0', 0],
  ['log_level', 'debug', 'debug'],
])('%s: %j means %j', (key, raw, value) => {
  expect(load({ flags: { [key]: raw } }).values[key]).toBe(value)
})

test.each<[ConfigKey, unknown]>([
  ['allow_install_scripts', 'yes please'],
  ['task_kill_grace', '-1s'],
  ['scheduler_lease_ttl', '10ms'],
  ['xcom_max_bytes', '1 parsec'],
  ['web_port', 65_536],
  ['web_port', 1.5],
  ['web_port', ''],
  ['local_executor_slots', 0],
  ['log_level', 'loud'],
  ['dags_folder', ''],
])('%s: %j is refused with what may be written', (key, raw) => {
  expect(() => load({ flags: { [key]: raw } })).toThrow(`write ${configTable[key].type}`)
})

test('a secret is neither printed nor put into an error', () => {
  const url = 'postgres://branchline:hunter2@db/branchline'
  const loaded = load({ env: { BRANCHLINE_DATABASE_URL: url } })
  expect(loaded.values.database_url).toBe(url)
  expect(renderConfig(loaded)).not.toContain('hunter2')
  expect(configEntries(loaded)[0]).toEqual({
    key: 'database_url',
    value: '***',
    source: 'environment BRANCHLINE_DATABASE_URL',
  })
  const wrong = () => load({ flags: { database_url: ['hunter2'] } })
  expect(wrong).toThrow('database_url')
  expect(wrong).not.toThrow('hunter2')
})

test('the printed configuration has a line for each key, with value and origin', () => {
  const lines = renderConfig(load({ env: { BRANCHLINE_WEB_PORT: '81' } })).split('\n')
  expect(lines.map((line) => line.split(' ')[0])).toEqual(configKeys)
  expect(lines).toContainEqual(expect.stringMatching(/^web_port +81 +environment BRANCHLINE_WEB_PORT$/))
  expect(lines).toContainEqual(expect.stringMatching(/^scheduler_lease_ttl +1500ms +default$/))
})

test('what a setting prints it also understands', () => {
  const { values } = load()
  for (const key of configKeys) {
    const setting: Setting<unknown> = configTable[key]
    if (values[key] === null) continue
    expect(setting.parse(setting.format(values[key]), '/'), key).toEqual(values[key])
  }
})

test('the configuration cannot be changed', () => {
  const { values } = load()
  expect(() => Object.assign(values, { web_port: 1 })).toThrow(TypeError)
})

test('every key has a variable of its own', () => {
  expect(new Set(configKeys.map(variableOf)).size).toBe(configKeys.length)
})

test('docs/reference/config.md is what the table says', async () => {
  await expect(renderConfigReference()).toMatchFileSnapshot('../../docs/reference/config.md')
})
