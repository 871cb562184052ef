// Airflow's own decisions, measured (fixtures/trigger-rules.json says how), against ours: the rule alone, a run
// whose rows stand so when it is leased, and a run that comes there by events in either order.
//
// Left out by name: upstream tasks that are `removed`, a state that does not exist here yet, and rules that do not.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { TriggerRule } from '../../../runtime/manifest.ts'
import {
  activeTaskInstanceStates,
  type DagRunState,
  type TaskInstanceState,
} from '../../../runtime/states.ts'
import { triggerDecision, type UpstreamCounts } from '../../../runtime/trigger-rules.ts'
import { decide } from '../../../scheduler/decide/decide.ts'
import { createRunState, type TaskInstanceRow } from '../../../scheduler/decide/run-state.ts'
import { graphOfEdges } from './graphs.ts'
import { RunInMemory } from './run-in-memory.ts'

type UpstreamState = 'success' | 'failed' | 'skipped' | 'upstream_failed' | 'running'
const leftOut = 'removed'

interface Reference {
  cells: {
    rule: string
    upstream: (UpstreamState | typeof leftOut)[]
    decision: 'runs' | 'waits' | 'skipped' | 'upstream_failed'
    dag_run_state_then: DagRunState
  }[]
  dag_run_from_two_leaves: { leaves: (UpstreamState | typeof leftOut)[]; dag_run: DagRunState }[]
  dag_run_non_leaf_failure: {
    non_leaf: UpstreamState | typeof leftOut
    its_leaf: UpstreamState | typeof leftOut
    other_leaf: UpstreamState | typeof leftOut
    dag_run: DagRunState
  }[]
}
const reference: Reference = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures', 'trigger-rules.json'), 'utf8'),
)

const isKnown = (state: string): state is UpstreamState => state !== leftOut
const cells = reference.cells.flatMap((cell) => {
  const rule = Object.values(TriggerRule).find((known) => known === cell.rule)
  return rule && cell.upstream.every(isKnown) ? [{ ...cell, rule, upstream: cell.upstream }] : []
})

function row(task_id: string, state: TaskInstanceState): TaskInstanceRow {
  const hasAttempt = !['none', 'upstream_failed'].includes(state)
  return { task_id, state, try_number: hasAttempt ? 1 : 0, max_tries: 1, infrastructure_retries: 0 }
}

/** What a scheduler makes of `rows` when it leases the run. */
function lease(edges: Record<string, string[]>, rows: readonly TaskInstanceRow[]) {
  const graph = graphOfEdges(edges)
  const run = createRunState(graph, rows)
  decide(run, { type: 'leased' })
  return { state: run.state, stateOf: (taskId: string) => run.tasks[graph.numberOf.get(taskId)!]!.state }
}

const decisionOf = { none: 'waits', queued: 'runs', skipped: 'skipped', upstream_failed: 'upstream_failed' }

/**
 * What the reference says while upstream tasks end in the order of `places`: the first decision stands, so a task
 * below one that was skipped stays skipped when another one fails later.
 */
function firstDecision(rule: TriggerRule, upstream: readonly UpstreamState[], places: readonly number[]) {
  const decisions = places.map((_, last) => {
    const ended = places.slice(0, last + 1)
    const now = upstream.map((state, place) => (ended.includes(place) ? state : 'running')).toSorted()
    return cells.find((cell) => cell.rule === rule && `${cell.upstream.toSorted()}` === `${now}`)!.decision
  })
  return decisions.find((decision) => decision !== 'waits') ?? 'waits'
}

test('the cells of each rule that exists are all here, but those with removed upstream tasks', () => {
  // One and two upstream tasks, each in one of five states, whatever their order.
  expect(cells.length).toBe(Object.values(TriggerRule).length * (5 + 15))
})

test('a task without upstream tasks runs', () => {
  const none = { total: 0, success: 0, failed: 0, skipped: 0, upstream_failed: 0 }
  for (const rule of Object.values(TriggerRule)) expect(triggerDecision(rule, none)).toBe('run')
})

describe.each(cells)('$rule over $upstream: $decision, the run is $dag_run_state_then', (cell) => {
  const { rule, upstream, decision, dag_run_state_then } = cell

  test('by the rule', () => {
    const counts: UpstreamCounts = {
      total: upstream.length,
      success: upstream.filter((state) => state === 'success').length,
      failed: upstream.filter((state) => state === 'failed').length,
      skipped: upstream.filter((state) => state === 'skipped').length,
      upstream_failed: upstream.filter((state) => state === 'upstream_failed').length,
    }
    const expected = { runs: 'run', waits: 'wait', skipped: 'skipped', upstream_failed: 'upstream_failed' }
    expect(triggerDecision(rule, counts)).toBe(expected[decision])
  })

  test('when the run is leased', () => {
    const ids = upstream.map((_, place) => `upstream_${place}`)
    const edges = { ...Object.fromEntries(ids.map((id) => [id, []])), task: ids }
    const run = lease(
      edges,
      upstream.map((state, place) => row(ids[place]!, state)),
    )
    expect(decisionOf[run.stateOf('task') as keyof typeof decisionOf]).toBe(decision)
    expect(run.state).toBe(dag_run_state_then)
  })

  test.each(['in order', 'in reverse order'])('when the upstream tasks come there %s', (order) => {
    const ids = upstream.map((_, place) => `upstream_${place}`)
    // What has failed upstream of it has a task of its own that fails.
    const edges: Record<string, string[]> = {}
    for (const [place, state] of upstream.entries()) {
      const id = ids[place]!
      if (state === 'upstream_failed') edges[`above_${id}`] = []
      edges[id] = state === 'upstream_failed' ? [`above_${id}`] : []
    }
    const graph = graphOfEdges({ ...edges, task: ids })
    const run = new RunInMemory(graph)
    const places = order === 'in order' ? [...upstream.keys()] : [...upstream.keys()].reverse()
    const expected = firstDecision(rule, upstream, places)
    for (const place of places) {
      const state = upstream[place]!
      const id = state === 'upstream_failed' ? `above_${ids[place]}` : ids[place]!
      const task = graph.numberOf.get(id)!
      run.happen({ type: 'attempt_started', task, tryNumber: 1 })
      if (state === 'running') continue
      const ended = state === 'upstream_failed' ? 'failed' : state
      run.happen({ type: 'attempt_finished', task, tryNumber: 1, state: ended, retryable: true })
    }
    for (const [place, id] of ids.entries()) {
      expect(run.rows.stateOf(graph.numberOf.get(id)!)).toBe(upstream[place])
    }
    const state = run.rows.stateOf(graph.numberOf.get('task')!)
    expect(decisionOf[state as keyof typeof decisionOf]).toBe(expected)
    const ended = expected === 'skipped' ? 'success' : expected === 'upstream_failed' ? 'failed' : 'running'
    expect(run.rows.state).toBe(upstream.includes('running') ? 'running' : ended)
  })
})

const twoLeaves = reference.dag_run_from_two_leaves.filter(({ leaves }) => leaves.every(isKnown))

test('the rows of two leaves are all here, but those with removed ones', () => {
  expect(twoLeaves.length).toBe(15)
})

test.each(twoLeaves)('a run with leaves $leaves is $dag_run', ({ leaves, dag_run }) => {
  for (const [one, other] of [leaves, leaves.toReversed()] as [TaskInstanceState, TaskInstanceState][]) {
    expect(lease({ a: [], b: [] }, [row('a', one), row('b', other)]).state).toBe(dag_run)
  }
})

const nonLeaves = reference.dag_run_non_leaf_failure.filter(
  ({ non_leaf, its_leaf, other_leaf }) => isKnown(non_leaf) && isKnown(its_leaf) && isKnown(other_leaf),
)

test('the rows of tasks that are not leaves are here, but those with removed ones', () => {
  expect(nonLeaves.length).toBe(5)
})

test.each(nonLeaves)(
  'a run whose $non_leaf task has a leaf that is $its_leaf, beside one that is $other_leaf, is $dag_run',
  ({ non_leaf, its_leaf, other_leaf, dag_run }) => {
    const states = [non_leaf, its_leaf, other_leaf] as TaskInstanceState[]
    const ids = ['above', 'leaf', 'other']
    const rows = states.map((state, place) => row(ids[place]!, state))
    expect(states.some((state) => activeTaskInstanceStates.includes(state))).toBe(false)
    expect(lease({ above: [], leaf: ['above'], other: [] }, rows).state).toBe(dag_run)
  },
)
