// Three ways to show a run that goes on: in place on a terminal, one line for each change elsewhere, and the API's
// own events as newline-delimited JSON.
import { finishedTaskInstanceStates } from '../../runtime/states.ts'
import type { LiveEvent } from '../../web/server/schemas/live-event.ts'
import { createLiveRegion } from '../output/live-region.ts'
import { type RunSnapshot, renderRun } from '../output/run-summary.ts'
import type { TreeTask } from '../output/run-tree.ts'
import { spinnerMs, stateText } from '../output/state.ts'
import type { Style } from '../output/style.ts'
import { elapsed, localClock } from '../output/time.ts'
import type { Terminal } from '../terminal.ts'

export interface RunView {
  /** Each event as it comes. */
  event(event: LiveEvent): void
  /** The run as it is now, after an event. */
  update(snapshot: RunSnapshot): void
  /** Something about the watching itself, such as a connection that broke; null: it is over. */
  trouble(text: string | null): void
  /** Nothing follows. `snapshot` is absent where nothing was seen of the run. */
  end(snapshot: RunSnapshot | undefined): void
}

/** The view that suits where the output goes. */
export function createRunView(terminal: Terminal, isJson: boolean): RunView {
  if (isJson) return jsonView(terminal)
  return terminal.stdout.isTTY === true ? liveView(terminal) : lineView(terminal)
}

function jsonView(terminal: Terminal): RunView {
  return {
    event: (event) => terminal.printJsonLine(event),
    update() {},
    trouble: (text) => text !== null && terminal.note(text),
    end() {},
  }
}

function liveView({ stdout, style }: Terminal): RunView {
  const region = createLiveRegion((text) => stdout.write(text))
  let snapshot: RunSnapshot | undefined
  let trouble: string | null = null
  const draw = () => {
    if (snapshot === undefined) return
    const options = { style, now: Date.now(), isLive: true }
    const footer = trouble === null ? style('dim', 'ctrl-C leaves the run alone') : style('yellow', trouble)
    region.draw([...renderRun(snapshot, options, stdout.rows), footer])
  }
  const timer = setInterval(draw, spinnerMs)
  return {
    event() {},
    update(now) {
      snapshot = now
      draw()
    },
    trouble(text) {
      trouble = text
      draw()
    },
    end(last) {
      clearInterval(timer)
      if (last === undefined) return
      // What the screen had no room for is in the last drawing, above the screen's top.
      region.end(renderRun(last, { style, now: Date.now(), isLive: false }))
    },
  }
}

function lineView(terminal: Terminal): RunView {
  let before: RunSnapshot | undefined
  return {
    event() {},
    update(snapshot) {
      terminal.print(...changeLines(before, snapshot, terminal.style, Date.now()))
      before = snapshot
    },
    trouble: (text) => text !== null && terminal.note(text),
    end(last) {
      if (last !== undefined) this.update(last)
    },
  }
}

/** One line for each task, and one for the run, whose state is another than before. */
export function changeLines(
  before: RunSnapshot | undefined,
  after: RunSnapshot,
  style: Style,
  now: number,
): string[] {
  const known = new Map(before?.taskInstances.map((task) => [keyOf(task), task]))
  const changed = after.taskInstances.filter((task) => {
    const { state, try_number } = known.get(keyOf(task)) ?? { state: 'none', try_number: 0 }
    return task.state !== state || task.try_number !== try_number
  })
  const lines = changed.map((task) => {
    const index = task.map_index < 0 ? '' : `[${task.map_index}]`
    const took = finishedTaskInstanceStates.includes(task.state) && task.start_date !== null
    const tried = task.try_number > 1 ? `  try ${task.try_number} of ${task.max_tries}` : ''
    return `${task.task_id}${index}  ${stateText(task.state, style)}${took ? `  ${elapsed(task, now)}` : ''}${tried}`
  })
  if (before?.run.state !== after.run.state) {
    const { run } = after
    const took = run.end_date === null ? '' : `  ${elapsed(run, now)}`
    const line = `${run.dag_id} ${run.run_id}  ${stateText(run.state, style)}${took}`
    // A run that has only begun stands before its tasks, one that has ended after them.
    if (before === undefined && run.end_date === null) lines.unshift(line)
    else lines.push(line)
  }
  const time = style('dim', localClock(new Date(now).toISOString()))
  return lines.map((line) => `${time}  ${line}`)
}

function keyOf({ task_id, map_index }: TreeTask): string {
  return `${task_id} ${map_index}`
}
