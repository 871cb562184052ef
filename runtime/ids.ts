// Ids with a meaning, and the rules for those that users write. A dag_id, task_id or group id becomes a path,
// a label and a URL part, so its letters are limited once, here, and never escaped anywhere else.
import { DagDefinitionError, InvalidInputError } from './errors.ts'

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

export type DagId = Branded<'DagId'>
/** `group.task` for a task within a group. */
export type TaskId = Branded<'TaskId'>
/** Full, lower-case hexadecimal object id: 40 (SHA-1) or 64 (SHA-256) digits. */
export type CommitSha = Branded<'CommitSha'>

/** The map_index of a task that is not mapped, as in Airflow. */
export const notMapped = -1

const maxIdLength = 200
const idPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/
// A run_id may hold a timestamp (`:` and `+`), so it is wider than the ids of Dags and tasks; it is a path part too.
const runIdPattern = /^[A-Za-z0-9_~][A-Za-z0-9_.~:+-]*$/

function checkId(kind: string, id: string): void {
  if (typeof id !== 'string' || !idPattern.test(id) || id.length > maxIdLength) {
    throw new DagDefinitionError(
      `${kind} ${JSON.stringify(id)} is not valid: use 1 to ${maxIdLength} letters, digits, '_', '-' or '.', not beginning with '-' or '.'`,
      { details: { kind, id } },
    )
  }
}

/** @throws DagDefinitionError */
export function asDagId(id: string): DagId {
  checkId('dag_id', id)
  return id as DagId
}

/** @throws DagDefinitionError */
export function asTaskId(id: string): TaskId {
  checkId('task_id', id)
  return id as TaskId
}

/**
 * Full id of a task group.
 * @throws DagDefinitionError
 */
export function asGroupId(id: string): string {
  checkId('group_id', id)
  return id
}

/** @throws InvalidInputError */
export function checkRunId(runId: string): string {
  if (!runIdPattern.test(runId) || runId.length > maxIdLength) {
    throw new InvalidInputError(
      `run_id ${JSON.stringify(runId)} is not valid: use 1 to ${maxIdLength} letters, digits, '_', '-', '.', '~', ':' or '+'`,
      { details: { run_id: runId } },
    )
  }
  return runId
}

const commitPattern = /^([0-9a-f]{40}|[0-9a-f]{64})$/

/** Whether `text` is a full commit hash. */
export function isCommitSha(text: string): text is CommitSha {
  return commitPattern.test(text)
}

/** What names an attempt: the primary key of its rows. */
export interface AttemptKey {
  dag_run_id: number
  task_id: string
  map_index: number
  try_number: number
}

/** Names one attempt for good, in one text. */
export function attemptId(dagRunId: number, taskId: string, mapIndex: number, tryNumber: number): string {
  return `${dagRunId}/${taskId}/${mapIndex}/${tryNumber}`
}

const attemptIdPattern = /^([0-9]{1,15})\/([^/]+)\/(-?[0-9]{1,9})\/([0-9]{1,9})$/

/** The other way; undefined where `text` is none. */
export function parseAttemptId(text: string): AttemptKey | undefined {
  const [, dagRunId, taskId, mapIndex, tryNumber] = attemptIdPattern.exec(text) ?? []
  if (taskId === undefined) return undefined
  return {
    dag_run_id: Number(dagRunId),
    task_id: taskId,
    map_index: Number(mapIndex),
    try_number: Number(tryNumber),
  }
}
