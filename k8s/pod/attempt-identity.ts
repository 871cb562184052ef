// Which attempt a pod is for, and what follows from it: the pod's name, its labels and its annotations. All of it is
// derived, nothing is drawn: whoever asks for the pod of an attempt a second time is told 'already exists', and that
// is the answer wanted. Pure.
//
// Labels select and are read by people, so they have a safe form: what a label cannot hold is left out and a hash of
// the exact value is put behind it. Annotations of the same names have the exact values.
import { createHash } from 'node:crypto'
import { attemptId, notMapped } from '../../runtime/ids.ts'
import { labelPrefix } from './pod-names.ts'

/** An attempt as its pod tells it. */
export interface AttemptIdentity {
  /** Of the deployment, so that two that share a namespace do not share pods. */
  deploymentId: string
  dagRunId: number
  dagId: string
  runId: string
  taskId: string
  /** `notMapped` for a task that is not mapped. */
  mapIndex: number
  /** 1 for the first. */
  tryNumber: number
  /** The last try_number that the task has, as things stand. */
  maxTries: number
  /** ISO 8601; null for a run without one. */
  logicalDate: string | null
  /** null: the run's source is a plain directory. */
  commitSha: string | null
  bundleHash: string
}

/** A DNS label, so that it serves as the pod's hostname too. */
const maxNameLength = 63
/** 82 bits: among a thousand million pods two are alike with a chance of one in ten million. */
const nameHashLength = 16
const maxLabelLength = 63
/** As Airflow's labels have. */
const labelHashLength = 9

/** Always the same for an attempt, and never that of another: `daily-sales-extract-` and 16 letters and digits. */
export function podName(
  identity: Pick<
    AttemptIdentity,
    'deploymentId' | 'dagRunId' | 'dagId' | 'taskId' | 'mapIndex' | 'tryNumber'
  >,
): string {
  const { deploymentId, dagRunId, dagId, taskId, mapIndex, tryNumber } = identity
  const digest = createHash('sha256')
    .update(JSON.stringify([deploymentId, dagRunId, dagId, taskId, mapIndex, tryNumber]))
    .digest('hex')
  const hash = BigInt(`0x${digest}`).toString(36).padStart(nameHashLength, '0').slice(-nameHashLength)
  return [...slugs(dagId, taskId, maxNameLength - nameHashLength - 1), hash].join('-')
}

/** Both together within `room`; a short one leaves its room to the other. */
function slugs(dagId: string, taskId: string, room: number): string[] {
  const [dag, task] = [slug(dagId), slug(taskId)]
  const half = Math.floor((room - 1) / 2)
  const dagRoom = Math.max(half, room - 1 - task.length)
  const taskRoom = Math.max(half, room - 1 - Math.min(dag.length, dagRoom))
  return [dag.slice(0, dagRoom), task.slice(0, taskRoom)].map(trimmed).filter((part) => part !== '')
}

function slug(id: string): string {
  return trimmed(id.toLowerCase().replace(/[^a-z0-9]+/g, '-'))
}

function trimmed(text: string): string {
  return text.replace(/^-+|-+$/g, '')
}

/**
 * Labels of the attempt's pod. A task that is not mapped has no `map_index`, a run of a plain directory no
 * `commit_sha`.
 */
export function podLabels(identity: AttemptIdentity): Record<string, string> {
  const labels = Object.entries(exactValues(identity)).filter(([name]) => name !== 'logical_date')
  return {
    'app.kubernetes.io/name': 'branchline-worker',
    'app.kubernetes.io/managed-by': 'branchline',
    ...Object.fromEntries(labels.map(([name, value]) => [labelPrefix + name, safeLabelValue(value)])),
  }
}

/** The exact values of `podLabels`, the logical date, and the attempt by which the launch ledger knows the pod. */
export function podAnnotations(identity: AttemptIdentity): Record<string, string> {
  const { dagRunId, taskId, mapIndex, tryNumber } = identity
  const attempt = attemptId(dagRunId, taskId, mapIndex, tryNumber)
  const values = Object.entries({ ...exactValues(identity), attempt_id: attempt })
  return Object.fromEntries(values.map(([name, value]) => [labelPrefix + name, value]))
}

function exactValues(identity: AttemptIdentity): Record<string, string> {
  const { mapIndex, logicalDate, commitSha } = identity
  return {
    deployment_id: identity.deploymentId,
    dag_id: identity.dagId,
    run_id: identity.runId,
    task_id: identity.taskId,
    ...(mapIndex === notMapped ? {} : { map_index: String(mapIndex) }),
    try_number: String(identity.tryNumber),
    ...(logicalDate === null ? {} : { logical_date: logicalDate }),
    ...(commitSha === null ? {} : { commit_sha: commitSha }),
    bundle_hash: identity.bundleHash,
  }
}

/**
 * `value` as a label can hold it: at most 63 letters, digits, '-', '_' and '.', the first and last a letter or digit.
 * Where that is not `value` itself, a hash of `value` is behind it, so that different values stay different.
 */
export function safeLabelValue(value: string): string {
  const allowed = value.replace(/[^A-Za-z0-9_.-]/g, '')
  const safe = allowed.replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
  if (safe === value && safe.length <= maxLabelLength) return safe
  const hash = createHash('sha256').update(value).digest('hex').slice(0, labelHashLength)
  const kept = safe.slice(0, maxLabelLength - labelHashLength - 1)
  return kept === '' ? hash : `${kept}-${hash}`
}
