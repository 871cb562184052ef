// A run as a tree of its tasks: groups and tasks in topological order, states, durations. Pure: what a terminal
// shows at a moment is a function of the run's state and that moment, so it is tested as text.
import { finishedTaskInstanceStates, type TaskInstanceState } from '../../runtime/states.ts'
import { stateName, stateSymbol } from './state.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { elapsed, relativeTime } from './time.ts'

/** What of a task instance is shown; TaskInstance of the API has all of it. */
export interface TreeTask {
  task_id: string
  map_index: number
  state: TaskInstanceState
  try_number: number
  max_tries: number
  next_try_at: string | null
  start_date: string | null
  end_date: string | null
}

export interface TreeOptions {
  style: Style
  /** Milliseconds since the epoch. */
  now: number
  /** Whether the symbols of what runs turn with `now`. */
  isLive: boolean
}

export interface TreeGroup {
  groupId: string
  children: TreeNode[]
}
export type TreeNode = TreeTask | TreeGroup

const isGroup = (node: TreeNode): node is TreeGroup => 'children' in node

/**
 * Tasks below their groups. A group stands where its first task would.
 * @param groupIds full ids; only those that have a task appear
 */
export function buildTree(tasks: readonly TreeTask[], groupIds: readonly string[]): TreeNode[] {
  const roots: TreeNode[] = []
  const groups = new Map<string, TreeGroup>()
  const known = new Set(groupIds)
  const childrenOf = (id: string): TreeNode[] => {
    const groupId = enclosingGroup(id, known)
    if (groupId === undefined) return roots
    let group = groups.get(groupId)
    if (group === undefined) {
      group = { groupId, children: [] }
      groups.set(groupId, group)
      childrenOf(groupId).push(group)
    }
    return group.children
  }
  for (const task of tasks) childrenOf(task.task_id).push(task)
  return roots
}

/** The longest group id that `id` begins with; ids of tasks may have dots of their own. */
function enclosingGroup(id: string, groupIds: ReadonlySet<string>): string | undefined {
  for (let end = id.lastIndexOf('.'); end > 0; end = id.lastIndexOf('.', end - 1)) {
    const prefix = id.slice(0, end)
    if (groupIds.has(prefix)) return prefix
  }
  return undefined
}

/**
 * One line for each node, in columns: tree, state, duration, what else there is to say.
 * @param maxLines a screen's height: groups that have ended are folded, then tasks of states that need no eye are
 *   left out, and said to be; default: all lines
 */
export function renderTree(nodes: readonly TreeNode[], options: TreeOptions, maxLines = Infinity): string[] {
  const all = table(rowsOf(nodes, options, '', '', false))
  if (all.length <= maxLines) return all
  const folded = rowsOf(nodes, options, '', '', true)
  if (folded.length <= maxLines) return table(folded)
  return table(mostTelling(folded, Math.max(0, maxLines - 1)), folded.length)
}

interface Row {
  cells: readonly string[]
  state: TaskInstanceState
}

function table(rows: readonly Row[], total = rows.length): string[] {
  const lines = renderTable(
    rows.map((row) => row.cells),
    { right: [2] },
  )
  return total === rows.length ? lines : [...lines, `… ${total - rows.length} more`]
}

function rowsOf(
  nodes: readonly TreeNode[],
  options: TreeOptions,
  indent: string,
  groupPrefix: string,
  foldsEnded: boolean,
): Row[] {
  return nodes.flatMap((node) => {
    if (!isGroup(node)) return [taskRow(node, options, indent, groupPrefix)]
    const tasks = tasksBelow(node)
    const isFolded = foldsEnded && tasks.every((task) => quietStates.includes(task.state))
    const head = groupRow(node, tasks, options, indent, groupPrefix, isFolded)
    const below = () => rowsOf(node.children, options, `${indent}  `, `${node.groupId}.`, foldsEnded)
    return isFolded ? [head] : [head, ...below()]
  })
}

function taskRow(task: TreeTask, options: TreeOptions, indent: string, groupPrefix: string): Row {
  const { style, now, isLive } = options
  const symbol = stateSymbol(task.state, style, isLive ? now : undefined)
  const index = task.map_index < 0 ? '' : `[${task.map_index}]`
  const name = `${task.task_id.slice(groupPrefix.length)}${index}`
  return {
    state: task.state,
    cells: [
      `${indent}${symbol} ${name}`,
      stateName(task.state, style),
      elapsed(task, now),
      remark(task, options),
    ],
  }
}

/** Which attempt it is, where that says something. */
function remark(task: TreeTask, { style, now }: TreeOptions): string {
  const { state, try_number: tryNumber, max_tries: maxTries, next_try_at: nextTryAt } = task
  if (state === 'up_for_retry') {
    return style('dim', `try ${tryNumber + 1} of ${maxTries} ${relativeTime(nextTryAt, now)}`)
  }
  return tryNumber > 1 ? style('dim', `try ${tryNumber} of ${maxTries}`) : ''
}

function groupRow(
  group: TreeGroup,
  tasks: readonly TreeTask[],
  { style, now }: TreeOptions,
  indent: string,
  groupPrefix: string,
  isFolded: boolean,
): Row {
  const name = group.groupId.slice(groupPrefix.length)
  const ended = tasks.filter((task) => finishedTaskInstanceStates.includes(task.state)).length
  return {
    state: isFolded ? 'success' : worstState(tasks),
    cells: [
      `${indent}${style('dim', isFolded ? '▸' : '▾')} ${style('bold', name)}`,
      style('dim', `${ended} of ${tasks.length}`),
      elapsed(spanOf(tasks), now),
      '',
    ],
  }
}

function tasksBelow(node: TreeNode): TreeTask[] {
  return isGroup(node) ? node.children.flatMap(tasksBelow) : [node]
}

/** From the first start to the last end; without an end while one has not ended. */
function spanOf(tasks: readonly TreeTask[]): { start_date: string | null; end_date: string | null } {
  const starts = tasks.flatMap((task) => task.start_date ?? []).sort()
  const ends = tasks.flatMap((task) => task.end_date ?? []).sort()
  return {
    start_date: starts[0] ?? null,
    end_date: ends.length === tasks.length ? (ends.at(-1) ?? null) : null,
  }
}

/** Nothing more to see there. */
const quietStates: readonly TaskInstanceState[] = ['success', 'skipped']

/** What a person wants to see first where not all of it fits. */
const byImportance: readonly TaskInstanceState[] = [
  'failed',
  'running',
  'up_for_retry',
  'queued',
  'upstream_failed',
  'none',
  'skipped',
  'success',
]

function worstState(tasks: readonly TreeTask[]): TaskInstanceState {
  return byImportance.find((state) => tasks.some((task) => task.state === state)) ?? 'none'
}

/** So many rows, the important ones, in the order in which they stood. */
function mostTelling(rows: readonly Row[], count: number): Row[] {
  const chosen = rows
    .map((row, index) => ({ index, rank: byImportance.indexOf(row.state) }))
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .slice(0, count)
    .map(({ index }) => index)
    .sort((a, b) => a - b)
  return chosen.map((index) => rows[index]!)
}
