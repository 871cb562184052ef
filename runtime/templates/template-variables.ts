// What templated strings may name, with Airflow's names and Airflow's spelling of times: `ds` is the logical date's
// day in UTC, `ts` its instant as Python writes it. Nothing here reads a clock: a retry renders what the first attempt
// did, but for `try_number`.
import type { AttemptOrder } from '../task-runner/protocol.ts'

/** Name → its value; null where the run has none. */
export interface TemplateVariables {
  ds: string | null
  ds_nodash: string | null
  ts: string | null
  ts_nodash: string | null
  ts_nodash_with_tz: string | null
  logical_date: string | null
  data_interval_start: string | null
  data_interval_end: string | null
  run_id: string
  dag_id: string
  task_id: string
  try_number: number
  map_index: number
  params: Record<string, unknown>
  inputs: Record<string, unknown>
  dag: { dag_id: string }
  task: { task_id: string }
  ti: TaskInstanceVariables
  task_instance: TaskInstanceVariables
  dag_run: {
    dag_id: string
    run_id: string
    run_type: string
    logical_date: string | null
    data_interval_start: string | null
    data_interval_end: string | null
    /** The run's params; Airflow's `conf` is what they were triggered with. */
    conf: Record<string, unknown>
  }
}

interface TaskInstanceVariables {
  dag_id: string
  run_id: string
  task_id: string
  try_number: number
  map_index: number
}

/** What an attempt is given anyway. */
export type TemplateSubject = Pick<
  AttemptOrder,
  | 'dag_id'
  | 'run_id'
  | 'task_id'
  | 'map_index'
  | 'try_number'
  | 'run_type'
  | 'logical_date'
  | 'data_interval_start'
  | 'data_interval_end'
  | 'params'
  | 'inputs'
>

const taskInstanceFields = ['dag_id', 'run_id', 'task_id', 'try_number', 'map_index'] as const

/** Name → its fields; null: it has none; 'any': only a run knows them. */
export const templateNames: Record<keyof TemplateVariables, readonly string[] | null | 'any'> = {
  ds: null,
  ds_nodash: null,
  ts: null,
  ts_nodash: null,
  ts_nodash_with_tz: null,
  logical_date: null,
  data_interval_start: null,
  data_interval_end: null,
  run_id: null,
  dag_id: null,
  task_id: null,
  try_number: null,
  map_index: null,
  params: 'any',
  inputs: 'any',
  dag: ['dag_id'],
  task: ['task_id'],
  ti: taskInstanceFields,
  task_instance: taskInstanceFields,
  dag_run: [
    'dag_id',
    'run_id',
    'run_type',
    'logical_date',
    'data_interval_start',
    'data_interval_end',
    'conf',
  ],
}

/** The variables of one attempt. */
export function templateVariables(subject: TemplateSubject): TemplateVariables {
  const { dag_id, run_id, task_id, try_number, map_index, run_type } = subject
  const params = JSON.parse(subject.params) as Record<string, unknown>
  const inputs = Object.entries(subject.inputs).map(([name, json]) => [name, JSON.parse(json) as unknown])
  const times = {
    logical_date: timeText(subject.logical_date),
    data_interval_start: timeText(subject.data_interval_start),
    data_interval_end: timeText(subject.data_interval_end),
  }
  const ti = { dag_id, run_id, task_id, try_number, map_index }
  const of = (filter: TimeFilter) =>
    times.logical_date === null ? null : timeFilters[filter](times.logical_date)
  return {
    ds: of('ds'),
    ds_nodash: of('ds_nodash'),
    ts: of('ts'),
    ts_nodash: of('ts_nodash'),
    ts_nodash_with_tz: of('ts_nodash_with_tz'),
    ...times,
    ...ti,
    params,
    inputs: Object.fromEntries(inputs),
    dag: { dag_id },
    task: { task_id },
    ti,
    task_instance: ti,
    dag_run: { dag_id, run_id, run_type, ...times, conf: params },
  }
}

/** `2026-01-31T06:00:00+00:00`, with six digits of a second where there are any. */
function timeText(time: string | null): string | null {
  if (time === null) return null
  return new Date(time)
    .toISOString()
    .replace(/(?:\.(\d{3}))?Z$/, (_, ms: string) => (ms === '000' ? '+00:00' : `.${ms}000+00:00`))
}

type TimeFilter = 'ds' | 'ds_nodash' | 'ts' | 'ts_nodash' | 'ts_nodash_with_tz'

/** The spellings of a time, of a text in ISO 8601; also filters, as in Airflow. */
export const timeFilters: Record<TimeFilter, (time: string) => string> = {
  ds: (time) => new Date(time).toISOString().slice(0, 10),
  ds_nodash: (time) => timeFilters.ds(time).replaceAll('-', ''),
  ts: (time) => timeText(time)!,
  ts_nodash: (time) => new Date(time).toISOString().slice(0, 19).replace(/[-:]/g, ''),
  ts_nodash_with_tz: (time) => `${timeFilters.ts_nodash(time)}+0000`,
}
