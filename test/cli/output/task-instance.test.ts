// What `tasks show` says of an attempt, of whose program nothing was heard, or which has none.
import { expect, test } from 'vitest'
import { plain } from '../../../cli/output/style.ts'
import { renderTaskInstance } from '../../../cli/output/task-instance.ts'
import { podJson } from '../../../web/server/json/pod.ts'
import type { Attempt } from '../../../web/server/schemas/task-instance.ts'
import { pod, running } from '../../k8s/observations.ts'

const begun = Date.parse('2026-01-02T03:04:00.000Z')
const iso = new Date(begun).toISOString()

function shown(more: Partial<Attempt>, secondsLater: number): string {
  const seen = podJson({
    ...{ dag_id: 'daily', run_id: 'r', task_id: 'extract', map_index: -1, try_number: 1, kind: 'task' },
    ...{ namespace: 'jobs', pod_name: 'extract-1', uid: 'u-1', state: 'created', is_gone: false },
    ...{ waiting_reason: null, waiting_message: null, memory_peak_bytes: null },
    ...{ planned_at: new Date(begun), created_at: new Date(begun), started_at: null, ended_at: null },
    observation: pod({ phase: 'Running', containers: [{ ...running('base'), started_at: iso }] }),
  } as unknown as Parameters<typeof podJson>[0])
  const attempt: Attempt = {
    ...{ try_number: 1, state: 'queued', executor: 'kubernetes', hostname: null, pid: null, queued_at: iso },
    ...{ start_date: null, end_date: null, duration: null, exit_code: null, error: null, pod: seen },
    ...more,
  }
  const details = {
    ...{ dag_id: 'daily', run_id: 'r', task_id: 'extract', map_index: -1, kind: 'task' as const },
    ...{ upstream_task_ids: [], state: 'queued' as const, try_number: 1, max_tries: 1, next_try_at: null },
    ...{ start_date: null, end_date: null, duration: null, attempts: [attempt], xcom: null },
  }
  return renderTaskInstance(details, plain, begun + secondsLater * 1_000).join('\n')
}

test('a program that does not reach the API is pointed out, with the command that shows its words', () => {
  expect(shown({}, 60)).toContain('kubectl --namespace jobs logs extract-1 --container base')
  expect(shown({}, 60)).toContain('execution_api_url')
})

test.each<[string, Partial<Attempt>, number]>([
  ['has only just begun', {}, 5],
  ['was heard of', { start_date: iso, state: 'running' }, 60],
  ['has ended', { end_date: iso, state: 'failed' }, 60],
])('nothing is said of one that %s', (_what, more, seconds) => {
  expect(shown(more, seconds)).not.toContain('unheard')
})

test('a pod that runs no program of ours has no process here', () => {
  expect(shown({ hostname: 'train-1', start_date: iso }, 1)).toMatch(/executor +kubernetes on train-1$/m)
})
