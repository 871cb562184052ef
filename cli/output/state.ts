// How states look: one symbol and one colour each, the same in every command.
import type { DagRunState, TaskInstanceState } from '../../runtime/states.ts'
import type { Format, Style } from './style.ts'

const looks: Readonly<Record<TaskInstanceState | DagRunState, { symbol: string; format: Format }>> = {
  none: { symbol: '·', format: 'dim' },
  queued: { symbol: '○', format: 'dim' },
  running: { symbol: '●', format: 'cyan' },
  success: { symbol: '✓', format: 'green' },
  failed: { symbol: '✗', format: 'red' },
  up_for_retry: { symbol: '↻', format: 'yellow' },
  skipped: { symbol: '⊘', format: 'magenta' },
  upstream_failed: { symbol: '✗', format: 'yellow' },
}

/** Turns while something runs. */
const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
/** Of one picture of the spinner. Shorter: more redraws than an eye sees. */
export const spinnerMs = 120

/** @param now milliseconds since the epoch: turns the spinner of what runs; absent: a symbol that stands still */
export function stateSymbol(state: TaskInstanceState | DagRunState, style: Style, now?: number): string {
  const { symbol, format } = looks[state]
  const isTurning = state === 'running' && now !== undefined
  return style(format, isTurning ? spinner[Math.floor(now / spinnerMs) % spinner.length]! : symbol)
}

/** The state's name in its colour. */
export function stateName(state: TaskInstanceState | DagRunState, style: Style): string {
  return style(looks[state].format, state)
}

/** Symbol and name. */
export function stateText(state: TaskInstanceState | DagRunState, style: Style): string {
  return `${stateSymbol(state, style)} ${stateName(state, style)}`
}
