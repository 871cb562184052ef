// What stands above and below the tree of a run. Pure, as the tree itself.
import type { DagRun } from '../../web/server/schemas/dag-run.ts'
import { buildTree, renderTree, type TreeOptions, type TreeTask } from './run-tree.ts'
import { stateName, stateSymbol } from './state.ts'
import type { Style } from './style.ts'
import { elapsed } from './time.ts'

/** A run at a moment. */
export interface RunSnapshot {
  run: DagRun
  taskInstances: readonly TreeTask[]
  groupIds: readonly string[]
}

/** Lines above a tree, the counts' line and the footer. */
const linesAroundTree = 4

/** Digits of a commit that people tell apart. */
const shortCommitLength = 7

/**
 * The run's head, its tree, and how many tasks are in which state.
 * @param height lines that there is room for; default: any number
 */
export function renderRun(snapshot: RunSnapshot, options: TreeOptions, height = Infinity): string[] {
  const nodes = buildTree(snapshot.taskInstances, snapshot.groupIds)
  return [
    runHead(snapshot.run, options),
    runOrigin(snapshot.run, options.style),
    ...renderTree(nodes, options, height - linesAroundTree),
    stateCounts(snapshot.taskInstances, options.style),
  ]
}

function runHead(run: DagRun, { style, now, isLive }: TreeOptions): string {
  const symbol = stateSymbol(run.state, style, isLive ? now : undefined)
  const state = `${symbol} ${stateName(run.state, style)}`
  return [style('bold', run.dag_id), run.run_id, state, elapsed(run, now)].join('  ')
}

function runOrigin(run: DagRun, style: Style): string {
  const commit = run.commit_sha === null ? [] : [`commit ${shortCommit(run.commit_sha)}`]
  const facts = [`version ${run.version_number}`, ...commit, run.run_type, `by ${run.triggered_by}`]
  return style('dim', facts.join(' · '))
}

/** The commit as people write it; a dash for none. */
export function shortCommit(commit: string | null): string {
  return commit?.slice(0, shortCommitLength) ?? '-'
}

/** `3 success · 1 running`, in the order in which the states appear. */
function stateCounts(tasks: readonly TreeTask[], style: Style): string {
  const counts = Map.groupBy(tasks, (task) => task.state)
  if (counts.size === 0) return style('dim', 'no tasks')
  return [...counts].map(([state, { length }]) => `${length} ${stateName(state, style)}`).join(' · ')
}
