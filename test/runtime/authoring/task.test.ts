import { bash, DagDefinitionError, dag, group, type Task, task } from 'branchline'
import { expect, test } from 'vitest'

/** Calls with arguments that the compiler would refuse, as type stripping lets them through. */
const anyTask = task as (...parameters: unknown[]) => Task
const anyBash = bash as (...parameters: unknown[]) => Task

function taskManifest(define: () => unknown) {
  return dag('sales', {}, define as () => void).manifest.tasks.at(-1)!
}

test('inputs are upstream tasks under names, and after is upstream without data', () => {
  const manifest = taskManifest(() => {
    const orders = task('extract', () => [1])
    const clean = task('clean', () => {})
    task('load', { orders }, { after: [clean, orders] }, ({ orders }) => orders.length)
  })
  expect(manifest).toMatchObject({
    task_id: 'load',
    inputs: { orders: 'extract' },
    upstream_task_ids: ['extract', 'clean'],
  })
})

test('every task option reaches the manifest', () => {
  const options = {
    retries: 3,
    retryDelay: '30s',
    retryExponentialBackoff: 2,
    maxRetryDelay: '1h',
    executionTimeout: '90s',
    triggerRule: 'all_success',
    priorityWeight: -5,
    executor: 'local',
    isolation: 'fresh',
    doc: 'loads',
  } as const
  const values = {
    retries: 3,
    retry_delay_ms: 30_000,
    retry_exponential_backoff: 2,
    max_retry_delay_ms: 3_600_000,
    execution_timeout_ms: 90_000,
    trigger_rule: 'all_success',
    priority_weight: -5,
    executor: 'local',
    isolation: 'fresh',
    doc: 'loads',
  }
  expect(taskManifest(() => task('load', options, () => {}))).toMatchObject({ kind: 'task', ...values })
  expect(taskManifest(() => bash('load', 'true', options))).toMatchObject({ kind: 'bash', ...values })
})

test("a task's option goes over the Dag's default, and undefined does not hide it", () => {
  const { manifest } = dag('sales', { defaults: { retries: 2, retryDelay: '1s', executor: 'pods' } }, () => {
    task('own', { retries: 0, executor: null }, () => {})
    anyTask('default', { retries: undefined }, () => {})
  })
  const [own, byDefault] = manifest.tasks
  expect(own).toMatchObject({ retries: 0, retry_delay_ms: 1000, executor: null })
  expect(byDefault).toMatchObject({ retries: 2, retry_delay_ms: 1000, executor: 'pods' })
})

test('a retry delay beyond the default bound is kept', () => {
  expect(taskManifest(() => task('load', { retryDelay: '2d' }, () => {}))).toMatchObject({
    retry_delay_ms: 172_800_000,
    max_retry_delay_ms: 172_800_000,
  })
})

test('a bash task keeps its command and options', () => {
  const { tasks, manifest } = dag('sales', {}, () => {
    const orders = task('extract', () => [1])
    bash('plain', 'make')
    bash('load', 'load "$orders"', { inputs: { orders }, env: { A: 'b' }, cwd: 'sub', skipExitCode: [3, 4] })
  })
  expect(tasks.get('plain')).toEqual({
    kind: 'bash',
    taskId: 'plain',
    command: 'make',
    env: {},
    cwd: null,
    skipExitCodes: [99],
  })
  expect(tasks.get('load')).toMatchObject({ env: { A: 'b' }, cwd: 'sub', skipExitCodes: [3, 4] })
  expect(manifest.tasks.at(-1)).toMatchObject({
    inputs: { orders: 'extract' },
    upstream_task_ids: ['extract'],
  })
})

test.each<[string, () => unknown, RegExp]>([
  [
    'a misspelt option',
    () => anyTask('load', { retires: 1 }, () => {}),
    /'retires'\. Did you mean 'retries'\?/,
  ],
  [
    'a misspelt option beside inputs',
    () => anyTask('load', { orders: task('o', () => 1) }, { docs: 'x' }, () => {}),
    /'docs'\. Did you mean 'doc'\?/,
  ],
  [
    'a misspelt bash option',
    () => anyBash('load', 'true', { skipExitcode: 1 }),
    /Did you mean 'skipExitCode'\?/,
  ],
  ['retries that are no count', () => task('load', { retries: 1.5 }, () => {}), /'retries' is 1\.5/],
  [
    'a delay that is none',
    () => task('load', { retryDelay: '5 min' }, () => {}),
    /"5 min" is not a duration/,
  ],
  [
    'a factor below 1',
    () => task('load', { retryExponentialBackoff: 0.5 }, () => {}),
    /'retryExponentialBackoff'/,
  ],
  ['no time at all', () => task('load', { executionTimeout: 0 }, () => {}), /'executionTimeout' is 0/],
  [
    'an unknown trigger rule',
    () => anyTask('load', { triggerRule: 'all_sucess' }, () => {}),
    /Did you mean 'all_success'\?/,
  ],
  ['an unknown isolation', () => anyTask('load', { isolation: 'cold' }, () => {}), /'warm' or 'fresh'/],
  ['an executor without a name', () => task('load', { executor: '' }, () => {}), /'executor' is ''/],
  [
    'after that is no list',
    () => anyTask('load', { after: 'extract' }, () => {}),
    /'after' is 'extract'.*list/,
  ],
  [
    'after beside inputs that is a bare task',
    () => anyTask('load', { a: task('x', () => 1) }, { after: task('y', () => 1) }, () => {}),
    /'after' is Task/,
  ],
  [
    'a task in the place of inputs',
    () =>
      anyTask(
        'load',
        task('x', () => 1),
        () => {},
      ),
    /give it a name as an input/,
  ],
  [
    'inputs mixed with options',
    () => anyTask('load', { orders: task('x', () => 1), retries: 2 }, () => {}),
    /option 'retries' stands among the inputs/,
  ],
  [
    'inputs as an option',
    () => anyTask('load', { inputs: { orders: task('x', () => 1) } }, () => {}),
    /its inputs are an object of their own before the options/,
  ],
  [
    'an input that is undefined',
    () => anyTask('load', { orders: undefined }, {}, () => {}),
    /input 'orders' is undefined/,
  ],
  ['a missing function', () => anyTask('load', { retries: 1 }), /the function to run as the last/],
  ['too many arguments', () => anyTask('load', {}, {}, {}, () => {}), /the function to run as the last/],
  ['options that are no object', () => anyTask('load', 5, () => {}), /options are 5/],
  ['a task id that is none', () => task('load all', () => {}), /task_id "load all" is not valid/],
  ['a task id that is no text', () => anyTask(7, {}, () => {}), /task_id 7 is not valid/],
  [
    'a task id with a point',
    () => task('etl.load', () => {}),
    /task_id "etl\.load".*define it within group\(\)/,
  ],
  ['a blank command', () => bash('load', ' '), /the command is ' '/],
  ['an environment that is no text', () => anyBash('load', 'true', { env: { N: 1 } }), /'env\.N' is 1/],
  ['a variable that cannot be', () => bash('load', 'true', { env: { 'A-B': '1' } }), /'env' is 'A-B'/],
  ['an exit code of 0', () => bash('load', 'true', { skipExitCode: 0 }), /'skipExitCode' is 0/],
  [
    'an input that is no variable',
    () => bash('load', 'true', { inputs: { 'a.b': task('x', () => 1) } }),
    /'inputs' is 'a\.b'/,
  ],
])('%s is refused', (_, define, message) => {
  const make = () => dag('sales', {}, define as () => void)
  expect(make).toThrow(DagDefinitionError)
  expect(make).toThrow(message)
})

test('an id is given once in a Dag, to a task or a group', () => {
  const twice = (define: () => void) => () => dag('sales', {}, define)
  expect(
    twice(() => {
      task('load', () => {})
      bash('load', 'true')
    }),
  ).toThrow(/Dag 'sales' has a task 'load' already/)
  expect(
    twice(() => {
      group('load', () => {})
      task('load', () => {})
    }),
  ).toThrow(/Dag 'sales' has a group 'load' already/)
  expect(
    twice(() => {
      task('load', () => {})
      group('load', () => {})
    }),
  ).toThrow(/a task 'load' already/)
})

test('a task of another Dag is refused with the names of both', () => {
  let stray: Task<number> | undefined
  dag('first', {}, () => {
    stray = task('extract', () => 1)
  })
  expect(() => dag('second', {}, () => task('load', { stray: stray! }, () => {}))).toThrow(
    /task 'load' of Dag 'second': task 'extract' belongs to Dag 'first'/,
  )
  expect(() => dag('second', {}, () => task('load', { after: [stray!] }, () => {}))).toThrow(
    /belongs to Dag 'first'/,
  )
  expect(() => dag('first', {}, () => task('load', { after: [stray!] }, () => {}))).toThrow(
    /belongs to another Dag 'first'/,
  )
})

test('a call outside of a Dag is refused with a remedy', () => {
  for (const call of [() => task('a', () => {}), () => bash('a', 'true'), () => group('a', () => {})]) {
    expect(call).toThrow(
      /\('a'\) was called outside of a Dag: call it within the function that is given to dag\(\)/,
    )
  }
})
