// What an event costs, counted: every look at a task's state or at a list of edges goes through a counting
// wrapper. Counts, unlike times, are the same on every machine.
import { expect, test } from 'vitest'
import type { DagGraph } from '../../../scheduler/decide/dag-graph.ts'
import { decide, type RunEvent } from '../../../scheduler/decide/decide.ts'
import { createRunState, type RunState } from '../../../scheduler/decide/run-state.ts'
import { graphOf, taskManifest } from './graphs.ts'

const many = 10_000

const id = (number: number) => `task_${number}`
const chain = (count: number) =>
  graphOf(
    Array.from({ length: count }, (_, number) =>
      taskManifest(id(number), { upstream_task_ids: number === 0 ? [] : [id(number - 1)] }),
    ),
  )
/** Task 0 above all others. */
const star = (count: number) =>
  graphOf(
    Array.from({ length: count }, (_, number) =>
      taskManifest(id(number), { upstream_task_ids: number === 0 ? [] : [id(0)] }),
    ),
  )
/** Task 0 above all but the last, which is below them all. */
const fan = (count: number) => {
  const between = Array.from({ length: count - 2 }, (_, place) => id(place + 1))
  const upstream = (number: number) => (number === 0 ? [] : number === count - 1 ? between : [id(0)])
  return graphOf(
    Array.from({ length: count }, (_, number) =>
      taskManifest(id(number), { upstream_task_ids: upstream(number) }),
    ),
  )
}
const shapes = { chain, star, fan }

/** A run that counts each look at an element of its lists. */
function countedRun(graph: DagGraph): { run: RunState; cost: (event: RunEvent) => number } {
  let looks = 0
  const counted = <T>(list: readonly T[]): readonly T[] =>
    new Proxy(list, {
      get(target, key, receiver) {
        if (typeof key === 'string' && /^\d+$/.test(key)) looks += 1
        return Reflect.get(target, key, receiver)
      },
    })
  const fresh = createRunState({
    ...graph,
    tasks: counted(graph.tasks),
    downstream: counted(graph.downstream.map(counted)),
    upstream: counted(graph.upstream.map(counted)),
    rank: counted(graph.rank),
    byRank: counted(graph.byRank),
  })
  const run = { ...fresh, tasks: counted(fresh.tasks) }
  const cost = (event: RunEvent) => {
    looks = 0
    decide(run, event)
    return looks
  }
  return { run, cost }
}

const finish = (task: number, state: 'success' | 'failed' = 'success'): RunEvent => ({
  type: 'attempt_finished',
  task,
  tryNumber: 1,
  state,
  retryable: true,
})

test.each(Object.entries(shapes))(
  'in a %s of 10,000 tasks each finished task costs its own edges alone',
  (_, shape) => {
    const { run, cost } = countedRun(shape(many))
    cost({ type: 'leased' })
    cost(finish(0))
    const costs: number[] = []
    for (let task = 1; task < many - 1; task += 1) {
      costs.push(cost({ type: 'attempt_started', task, tryNumber: 1 }) + cost(finish(task)))
    }
    expect(Math.max(...costs)).toBeLessThanOrEqual(20)
    // The last one also looks at every leaf, once.
    expect(cost(finish(many - 1))).toBeLessThanOrEqual(3 * many)
    expect(run.state).toBe('success')
  },
)

test.each(Object.entries(shapes))(
  'a failed task above a %s of 10,000 settles them all at once, in work that grows with their number',
  (_, shape) => {
    const work = [many / 2, many].map((count) => {
      const { run, cost } = countedRun(shape(count))
      cost({ type: 'leased' })
      const looks = cost(finish(0, 'failed'))
      expect(run.tasks.slice(1).every((task) => task.state === 'upstream_failed')).toBe(true)
      expect(run.state).toBe('failed')
      return looks
    })
    expect(work[1]!).toBeLessThanOrEqual(20 * many)
    expect(work[1]! / work[0]!).toBeLessThan(2.1)
  },
)

test.each(Object.entries(shapes))(
  'cancelling, and clearing, a %s of 10,000 tasks is work that grows with their number',
  (_, shape) => {
    const { run, cost } = countedRun(shape(many))
    cost({ type: 'leased' })
    expect(cost({ type: 'cancel', reason: 'cancelled' })).toBeLessThanOrEqual(20 * many)
    cost(finish(0))
    expect(run.state).toBe('failed')
    const tasks = [...run.tasks.keys()]
    expect(cost({ type: 'clear', tasks })).toBeLessThanOrEqual(20 * many)
    expect(run).toMatchObject({ state: 'running', active: 1, unfinished: many })
  },
)
