// `testDag()`: a Dag in an ordinary test, without server or database. It keeps to production's rules where they
// can be seen (trigger rules, retries, timeouts, results as JSON), and differs in two: tasks run one after the
// other, in the manifest's order, so that a test is repeatable; and nobody waits for a retry's delay.
import { setTimeout as delay } from 'node:timers/promises'
import { InvalidInputError, messageOf } from '../errors.ts'
import type { TaskManifest } from '../manifest.ts'
import { didYouMean } from '../nearest.ts'
import { retryDelayMs } from '../retry-delay.ts'
import type { DagRunState, TaskInstanceState } from '../states.ts'
import type { ErrorReport } from '../task-runner/protocol.ts'
import { triggerDecision, upstreamCounts } from '../trigger-rules.ts'
import type { DataInterval, TaskContext } from './context.ts'
import { type Dag, isDag } from './dag.ts'
import { readInstant } from './instant.ts'
import { shown } from './option-values.ts'
import { outcomeOf } from './outcome.ts'
import { runTestAttempt, type TestLogLine } from './test-attempt.ts'

/** Options of `testDag()`. */
export interface TestDagOptions {
  /** Params of the run; they go over the Dag's default values. */
  params?: Readonly<Record<string, unknown>>
  /** Default null, as of a manual run. Text without an offset is in the Dag's timezone. */
  logicalDate?: Date | string | null
  /** Default null, as of a manual run. */
  interval?: { start: Date | string; end: Date | string } | null
  /** Task id → result: these tasks are not run and count as successful. */
  results?: Readonly<Record<string, unknown>>
  /** 'real' waits as long as production would between attempts. Default 'none'. */
  retryDelay?: 'none' | 'real'
  /** Ends the run: the current task fails and what comes after it is not run. */
  signal?: AbortSignal
  /** What `context.sourcePath` is, and where commands run. Default: the current directory. */
  sourcePath?: string
}

/** How one task ended. */
export interface TestTaskInstance {
  /** 'none' only where the run was ended before. */
  state: TaskInstanceState
  /** As the next task receives it: gone through JSON. */
  result: unknown
  /** Of the last attempt, where it did not succeed. */
  error: ErrorReport | null
  /** Attempts that were made. */
  tries: number
  /** What the task logged in all of its attempts, and what its command wrote. Not what went to the console. */
  lines: TestLogLine[]
}

export interface TestDagRun {
  state: Extract<DagRunState, 'success' | 'failed'>
  tasks: Record<string, TestTaskInstance>
}

const optionNames = [
  'params',
  'logicalDate',
  'interval',
  'results',
  'retryDelay',
  'signal',
  'sourcePath',
] as const satisfies readonly (keyof TestDagOptions)[]

/**
 * Runs the whole Dag in this process, to its end; a task that fails is in what it returns.
 *
 * ```ts
 * const run = await testDag(dailySales, { results: { extract: [{ id: 1, region: 'north' }] } })
 * expect(run.state).toBe('success')
 * expect(run.tasks.report).toMatchObject({ state: 'success', result: { north: 1 } })
 * ```
 * @throws InvalidInputError for options that cannot be, such as the result of a task that does not exist
 */
export async function testDag(dag: Dag, options: TestDagOptions = {}): Promise<TestDagRun> {
  if (!isDag(dag))
    throw new InvalidInputError(`testDag() was given ${shown(dag)}, but takes what dag() returned`)
  const run = readRun(dag, options)
  const tasks: Record<string, TestTaskInstance> = {}
  const results = new Map<string, string>()
  for (const task of dag.manifest.tasks) {
    tasks[task.task_id] = await runTask(task, run, tasks, results)
  }
  return { state: dagRunState(dag.manifest.tasks, tasks), tasks }
}

/** A run with its options read. */
interface Run {
  dag: Dag
  context: Pick<
    TaskContext,
    'dagId' | 'runId' | 'mapIndex' | 'runType' | 'logicalDate' | 'interval' | 'sourcePath'
  >
  paramsText: string
  givenResults: Readonly<Record<string, unknown>>
  waitsForRetries: boolean
  signal: AbortSignal
}

function readRun(dag: Dag, options: TestDagOptions): Run {
  const { params = {}, results = {}, retryDelay = 'none', signal, sourcePath = process.cwd() } = options
  checkNames('option', Object.keys(options), optionNames)
  checkNames('task', Object.keys(results), [...dag.tasks.keys()])
  if (retryDelay !== 'none' && retryDelay !== 'real') {
    throw new InvalidInputError(`testDag(): retryDelay is ${shown(retryDelay)}, but must be 'none' or 'real'`)
  }
  return {
    dag,
    context: {
      dagId: dag.dagId,
      runId: 'test',
      mapIndex: -1,
      runType: 'manual',
      logicalDate: readDate(dag, 'logicalDate', options.logicalDate),
      interval: readInterval(dag, options.interval),
      sourcePath,
    },
    paramsText: JSON.stringify({ ...dag.manifest.params, ...params }),
    givenResults: results,
    waitsForRetries: retryDelay === 'real',
    signal: signal ?? new AbortController().signal,
  }
}

function checkNames(what: string, names: readonly string[], known: readonly string[]): void {
  for (const name of names) {
    if (known.includes(name)) continue
    throw new InvalidInputError(
      `testDag(): there is no ${what} '${name}'.${didYouMean(name, known)} Known are ${known.join(', ')}.`,
    )
  }
}

function readDate(dag: Dag, option: string, value: Date | string | null | undefined): Date | null {
  try {
    const instant = readInstant({ place: 'testDag()', option }, value, dag.manifest.timezone)
    return instant === null ? null : new Date(instant)
  } catch (error) {
    throw new InvalidInputError(messageOf(error), { cause: error })
  }
}

function readInterval(dag: Dag, interval: TestDagOptions['interval']): DataInterval | null {
  if (interval === undefined || interval === null) return null
  const start = readDate(dag, 'interval.start', interval.start)
  const end = readDate(dag, 'interval.end', interval.end)
  if (start !== null && end !== null && start <= end) return { start, end }
  throw new InvalidInputError(
    `testDag(): interval is ${shown(interval)}, but must have a start and a later end`,
  )
}

async function runTask(
  task: TaskManifest,
  run: Run,
  tasks: Readonly<Record<string, TestTaskInstance>>,
  results: Map<string, string>,
): Promise<TestTaskInstance> {
  const instance: TestTaskInstance = { state: 'none', result: undefined, error: null, tries: 0, lines: [] }
  const succeed = (text: string | null): TestTaskInstance => {
    if (text !== null) results.set(task.task_id, text)
    return { ...instance, state: 'success', error: null, result: parsed(text) }
  }
  if (run.signal.aborted) return instance
  if (Object.hasOwn(run.givenResults, task.task_id)) {
    return succeed(JSON.stringify(run.givenResults[task.task_id]) ?? null)
  }
  const upstream = upstreamCounts(task.upstream_task_ids.map((id) => tasks[id]!.state))
  const ruled = triggerDecision(task.trigger_rule, upstream)
  if (ruled === 'wait') return instance
  if (ruled !== 'run') return { ...instance, state: ruled }

  const inputs = () =>
    Object.fromEntries(
      Object.entries(task.inputs).map(([name, id]) => [name, parsed(results.get(id) ?? null)]),
    )
  while (true) {
    instance.tries++
    try {
      return succeed(await attempt(task, run, inputs(), instance))
    } catch (thrown) {
      const { state, retryable, error } = outcomeOf(thrown)
      Object.assign(instance, { state, error })
      if (!retryable || instance.tries > task.retries || run.signal.aborted) return instance
    }
    if (run.waitsForRetries) await waitForRetry(task, run, instance.tries)
    if (run.signal.aborted) return instance
  }
}

function attempt(
  task: TaskManifest,
  run: Run,
  inputs: Record<string, unknown>,
  { tries, lines }: TestTaskInstance,
): Promise<string | null> {
  return runTestAttempt({
    definition: run.dag.tasks.get(task.task_id)!,
    inputs,
    context: {
      ...run.context,
      taskId: task.task_id,
      tryNumber: tries,
      maxTries: task.retries + 1,
      params: JSON.parse(run.paramsText) as Record<string, unknown>,
    },
    executionTimeoutMs: task.execution_timeout_ms,
    signal: run.signal,
    lines,
  })
}

async function waitForRetry(task: TaskManifest, run: Run, tries: number): Promise<void> {
  try {
    await delay(retryDelayMs(task, tries), undefined, { signal: run.signal })
  } catch {
    // The run was ended, which the caller sees on the signal.
  }
}

/** Each reader gets its own copy, as in production: changing an input changes nobody else's. */
function parsed(text: string | null): unknown {
  return text === null ? undefined : JSON.parse(text)
}

/** Its leaves decide, as in Airflow: a failure that a later task made good is none of the run's. */
function dagRunState(
  manifests: readonly TaskManifest[],
  tasks: Readonly<Record<string, TestTaskInstance>>,
): TestDagRun['state'] {
  const upstreamIds = new Set(manifests.flatMap((task) => task.upstream_task_ids))
  const leaves = manifests.filter((task) => !upstreamIds.has(task.task_id))
  const isGood = ({ state }: TestTaskInstance) => state === 'success' || state === 'skipped'
  return leaves.every((leaf) => isGood(tasks[leaf.task_id]!)) ? 'success' : 'failed'
}
