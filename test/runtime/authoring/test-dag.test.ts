import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bash, dag, group, type TaskContext, TaskFailError, TaskSkipError, task, testDag } from 'branchline'
import { expect, test } from 'vitest'

const states = (run: Awaited<ReturnType<typeof testDag>>) =>
  Object.fromEntries(Object.entries(run.tasks).map(([id, { state }]) => [id, state]))

test('a Dag runs from first to last, and data goes from task to task', async () => {
  const sales = dag('sales', { params: { factor: 2, unit: 'EUR' } }, () => {
    const orders = task('extract', async () => [1, 2, 3])
    const etl = group('etl', () => ({
      total: task('sum', { orders }, ({ orders }) => orders.reduce((sum, amount) => sum + amount, 0)),
    }))
    task('report', { total: etl.outputs.total }, ({ total }, { params, log }) => {
      log.info('total', { total })
      return `${total * (params.factor as number)} ${params.unit}`
    })
  })
  const run = await testDag(sales, { params: { factor: 10 } })
  expect(run.state).toBe('success')
  expect(Object.keys(run.tasks)).toEqual(['extract', 'etl.sum', 'report'])
  expect(run.tasks.report).toEqual({
    state: 'success',
    result: '60 EUR',
    error: null,
    tries: 1,
    lines: [{ level: 'info', stream: 'log', msg: 'total', total: 6 }],
  })
})

test('the context says what it is about', async () => {
  const seen: TaskContext[] = []
  const daily = dag('daily', { timezone: 'Europe/Berlin' }, () => {
    task('look', { retries: 2 }, (context) => void seen.push(context))
  })
  await testDag(daily, {
    logicalDate: '2026-01-01',
    interval: { start: new Date(0), end: '1970-01-02T00:00Z' },
  })
  await testDag(daily)
  expect(seen[0]).toMatchObject({
    dagId: 'daily',
    runId: 'test',
    taskId: 'look',
    mapIndex: -1,
    tryNumber: 1,
    maxTries: 3,
    runType: 'manual',
    logicalDate: new Date('2025-12-31T23:00:00Z'),
    interval: { start: new Date(0), end: new Date('1970-01-02T00:00:00Z') },
    params: {},
    sourcePath: process.cwd(),
  })
  expect(seen[1]).toMatchObject({ logicalDate: null, interval: null })
})

test('results go through JSON, and each reader has its own copy', async () => {
  const run = await testDag(
    dag('json', {}, () => {
      const made = task('made', () => ({ at: new Date(0), run: () => 1, list: [1] }))
      const nothing = task('nothing', () => {})
      task('change', { made }, ({ made }) => made.list.push(2))
      task('read', { made, nothing }, ({ made, nothing }) => [made, nothing === undefined])
    }),
  )
  expect(run.tasks.made!.result).toEqual({ at: '1970-01-01T00:00:00.000Z', list: [1] })
  expect(run.tasks.nothing!.result).toBeUndefined()
  expect(run.tasks.read!.result).toEqual([{ at: '1970-01-01T00:00:00.000Z', list: [1] }, true])
})

test('a result that has no JSON fails its task without another try', async () => {
  const run = await testDag(
    dag('json', { defaults: { retries: 3 } }, () => {
      task('big', () => ({ n: 1n }))
    }),
  )
  expect(run.tasks.big).toMatchObject({ state: 'failed', tries: 1, error: { name: 'TaskFailError' } })
  expect(run.tasks.big!.error!.message).toMatch(/the result of task 'big' cannot be written as JSON/)
})

test('a failure stops what is downstream, and nothing else', async () => {
  const run = await testDag(
    dag('failing', {}, () => {
      const bad = task('bad', () => {
        throw new RangeError('out of range')
      })
      const next = task('next', { bad }, () => {})
      task('last', { after: [next] }, () => {})
      task('beside', () => {})
    }),
  )
  expect(run.state).toBe('failed')
  expect(states(run)).toEqual({
    bad: 'failed',
    next: 'upstream_failed',
    last: 'upstream_failed',
    beside: 'success',
  })
  expect(run.tasks.bad!.error).toMatchObject({ name: 'RangeError', message: 'out of range' })
  expect(run.tasks.bad!.error!.stack).toMatch(/test-dag\.test\.ts/)
  expect(run.tasks.next).toMatchObject({ tries: 0, error: null })
})

test('a skip goes downstream, where a failure beside it weighs more', async () => {
  const run = await testDag(
    dag('skipping', { defaults: { retries: 2 } }, () => {
      const skip = task('skip', () => {
        throw new TaskSkipError('nothing new')
      })
      const fail = task('fail', () => {
        throw new TaskFailError('hopeless')
      })
      task('after_skip', { after: [skip] }, () => {})
      task('after_both', { after: [skip, fail] }, () => {})
    }),
  )
  expect(states(run)).toEqual({
    skip: 'skipped',
    fail: 'failed',
    after_skip: 'skipped',
    after_both: 'upstream_failed',
  })
  expect(run.tasks.skip).toMatchObject({ tries: 1, error: { message: 'nothing new' } })
  expect(run.tasks.fail).toMatchObject({ tries: 1 })
})

test('a run in which all was skipped has succeeded', async () => {
  const run = await testDag(dag('quiet', {}, () => bash('check', 'exit 99')))
  expect(run.state).toBe('success')
  expect(states(run)).toEqual({ check: 'skipped' })
})

test('a failed attempt is retried without its delay', async () => {
  const flaky = dag('flaky', {}, () => {
    task('call', { retries: 3, retryDelay: '1h' }, ({ tryNumber, log }) => {
      log.warn('trying', { tryNumber })
      if (tryNumber < 3) throw new Error('not yet')
      return tryNumber
    })
    task('never', { retries: 1 }, ({ tryNumber }) => {
      throw new Error(`try ${tryNumber}`)
    })
  })
  const run = await testDag(flaky)
  expect(run.tasks.call).toMatchObject({ state: 'success', result: 3, tries: 3, error: null })
  expect(run.tasks.call!.lines.map((line) => line.tryNumber)).toEqual([1, 2, 3])
  expect(run.tasks.never).toMatchObject({ state: 'failed', tries: 2, error: { message: 'try 2' } })
})

test("retryDelay 'real' waits, longer each time where the task says so", async () => {
  const starts: number[] = []
  const slow = dag('slow', {}, () => {
    task('call', { retries: 2, retryDelay: 60, retryExponentialBackoff: 3, maxRetryDelay: 100 }, () => {
      starts.push(performance.now())
      throw new Error('away')
    })
  })
  await testDag(slow, { retryDelay: 'real' })
  expect(starts).toHaveLength(3)
  // Node's timers may fire up to a millisecond early.
  expect(starts[1]! - starts[0]!).toBeGreaterThanOrEqual(59)
  expect(starts[2]! - starts[1]!).toBeGreaterThanOrEqual(99)
})

test('an attempt that takes too long is aborted and retried', async () => {
  const run = await testDag(
    dag('late', { defaults: { executionTimeout: 50, retries: 1 } }, () => {
      task(
        'heeds',
        ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      )
      task(
        'quiet',
        ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('late'))),
      )
      task('command', () => {}) // in time
    }),
  )
  const timeout = {
    name: 'TaskAbortedError',
    message: 'the attempt took longer than its executionTimeout of 50 ms',
  }
  expect(run.tasks.heeds).toMatchObject({ state: 'failed', tries: 2, error: timeout })
  expect(run.tasks.quiet).toMatchObject({ state: 'failed', tries: 2, result: undefined, error: timeout })
  expect(run.tasks.command).toMatchObject({ state: 'success' })
})

test('what neither ends nor heeds its signal is left behind', async () => {
  const run = await testDag(
    dag('stuck', { defaults: { executionTimeout: 50 } }, () => {
      task('function', () => new Promise(() => {}))
      bash('command', 'trap "" TERM; while :; do sleep 0.05; done')
    }),
  )
  expect(states(run)).toEqual({ function: 'failed', command: 'failed' })
})

test('commands run in the source path and their lines are kept', async () => {
  const sourcePath = mkdtempSync(join(tmpdir(), 'branchline-test-dag-'))
  try {
    const run = await testDag(
      dag('commands', {}, () => {
        const orders = task('extract', () => [1, 2])
        bash('show', 'pwd -P; echo "$orders" >&2; exit 5', { inputs: { orders } })
      }),
      { sourcePath },
    )
    expect(run.tasks.show).toMatchObject({
      state: 'failed',
      error: { message: 'the command ended with exit code 5' },
    })
    expect(run.tasks.show!.lines).toContainEqual({ level: 'info', stream: 'stderr', msg: '[1,2]' })
    expect(run.tasks.show!.lines.find(({ stream }) => stream === 'stdout')?.msg).toContain(
      'branchline-test-dag-',
    )
  } finally {
    rmSync(sourcePath, { recursive: true })
  }
})

test('given results stand for tasks that are not run', async () => {
  const sales = dag('sales', {}, () => {
    const orders = task('extract', (): number[] => {
      throw new Error('must not run')
    })
    task('count', { orders }, ({ orders }) => orders.length)
  })
  const run = await testDag(sales, { results: { extract: [1, 2] } })
  expect(run).toMatchObject({
    state: 'success',
    tasks: { extract: { state: 'success', result: [1, 2], tries: 0 }, count: { result: 2 } },
  })
})

test('a signal ends the run, and what comes later is not run', async () => {
  const abort = new AbortController()
  const run = await testDag(
    dag('ended', { defaults: { retries: 5 } }, () => {
      const first = task('first', () => 1)
      const current = task('current', { after: [first] }, async ({ signal }) => {
        abort.abort(new Error('enough'))
        signal.throwIfAborted()
      })
      task('later', { after: [current] }, () => {})
    }),
    { signal: abort.signal },
  )
  expect(run.state).toBe('failed')
  expect(states(run)).toEqual({ first: 'success', current: 'failed', later: 'none' })
  expect(run.tasks.current).toMatchObject({ tries: 1, error: { message: 'enough' } })
})

test('a task that defines tasks while it runs is told that it cannot', async () => {
  const run = await testDag(dag('late', {}, () => task('outer', () => task('inner', () => {}).taskId)))
  expect(run.tasks.outer!.error!.message).toMatch(/task\('inner'\) was called outside of a Dag/)
})

test('options that cannot be are refused by name', async () => {
  const sales = dag('sales', {}, () => task('extract', () => 1))
  const refused = (options: object) => expect(testDag(sales, options)).rejects
  await refused({ results: { extrct: 1 } }).toThrow(/no task 'extrct'\. Did you mean 'extract'\?/)
  await refused({ parms: {} }).toThrow(/no option 'parms'\. Did you mean 'params'\?/)
  await refused({ retryDelay: 'some' }).toThrow(/retryDelay is 'some'/)
  await refused({ logicalDate: 'today' }).toThrow(/'logicalDate' is 'today'/)
  await refused({ interval: { start: '2026-01-02', end: '2026-01-01' } }).toThrow(/a start and a later end/)
  await expect(testDag({} as never)).rejects.toThrow(/takes what dag\(\) returned/)
})
