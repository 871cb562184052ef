// Trigger rules: what the states of a task's direct upstream tasks mean for it. One row a rule; a row looks at
// counts alone, never at the tasks, so that a finished upstream task costs one look whatever the width. Adding a
// rule is adding a row here and its name to `TriggerRule`. The checks stand in Airflow's order.
import type { TriggerRule } from './manifest.ts'
import type { TaskInstanceState } from './states.ts'

/** How many direct upstream tasks there are, and how many have ended how. */
export interface UpstreamCounts {
  total: number
  success: number
  failed: number
  skipped: number
  upstream_failed: number
}

/** `wait`: not decidable yet. A state: the task gets it at once and never runs. */
export type TriggerDecision = 'wait' | 'run' | 'skipped' | 'upstream_failed'

const rules: Record<TriggerRule, (counts: UpstreamCounts) => TriggerDecision> = {
  all_success: ({ total, success, failed, skipped, upstream_failed }) => {
    if (failed + upstream_failed > 0) return 'upstream_failed'
    if (skipped > 0) return 'skipped'
    return success === total ? 'run' : 'wait'
  },
}

/** Decides for a task with `rule`; a task without upstream tasks runs. */
export function triggerDecision(rule: TriggerRule, counts: UpstreamCounts): TriggerDecision {
  return counts.total === 0 ? 'run' : rules[rule](counts)
}

/** The counts of upstream tasks in these states; unfinished ones count in `total` alone. */
export function upstreamCounts(states: readonly TaskInstanceState[]): UpstreamCounts {
  const counts = { total: states.length, success: 0, failed: 0, skipped: 0, upstream_failed: 0 }
  for (const state of states) if (state in counts) counts[state as 'success'] += 1
  return counts
}
