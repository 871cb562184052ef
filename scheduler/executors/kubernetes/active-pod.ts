// The pod of an attempt that has not ended, as the scheduler that leases its run has it in memory. Nothing in it is
// the truth: it is made again from the ledger whenever a scheduler takes the run over.
import type { AttemptPlace } from '../../../runtime/log-line.ts'
import type { TaskManifest } from '../../../runtime/manifest.ts'
import type { PodOperatorManifest } from '../../../runtime/operator-manifest.ts'
import type { CancelReason, ErrorReport } from '../../../runtime/task-runner/protocol.ts'
import { attemptIdOf, type PodKey, type PodKind, type PodRow } from '../../database/pod-rows.ts'

/** Why a pod does not run. */
export interface PodTrouble {
  name: string
  message: string
  /** Time does not mend it. */
  isFatal: boolean
  /** Since when it is fatal, or not: the kubelet takes turns with its reasons. */
  since: number
  isSaid: boolean
  /** When the attempt's log was told of any such thing. */
  saidAt: number | null
}

export interface ActivePod {
  readonly attemptId: string
  readonly token: string
  readonly key: PodKey
  readonly place: AttemptPlace
  readonly kind: PodKind
  /** Of a task that is a pod itself; null: the pod runs our program. */
  readonly operator: PodOperatorManifest | null
  readonly namespace: string
  readonly podName: string
  readonly priorityWeight: number
  readonly executionTimeoutMs: number | null
  /** Milliseconds since the epoch. */
  readonly plannedAt: number
  /** What the ledger said last; null: it was only planned. */
  row: PodRow | null
  /** Reports of it can be taken; see `Adoption`. */
  isFollowed: boolean
  /** An earlier scheduler began it. */
  readonly isAdopted: boolean
  /** The logs of its containers are read, where they are not sent. */
  isLogFollowed: boolean
  /** They are, in the short time that its deletion leaves. */
  isLogHurried: boolean
  /** Milliseconds since the epoch; null: it was not reported. */
  startedAt: number | null
  /** Null where nothing is amiss. */
  trouble: PodTrouble | null
  /** When the cluster's events were asked last why it does not run. */
  eventsReadAt: number
  cancelReason: CancelReason | null
  /** Before this time it is not told to end once more. Milliseconds since the epoch. */
  tellAgainAt: number
  /** Why it could not be told, as its log says; null: nothing was said. */
  tellRefusal: string | null
  /** No pod of it will show how it ended: it ends with these words. */
  refusal: ErrorReport | null
  /** Its end is being found out, or is reported. */
  isEnding: boolean
  /** Why its end could not be made whole, as was logged; null: nothing was. */
  endFault: string | null
}

/** @param pod.row null: it is only planned */
export function activePod(pod: {
  key: PodKey
  token: string
  place: AttemptPlace
  task: TaskManifest
  kind: PodKind
  namespace: string
  podName: string
  row: PodRow | null
}): ActivePod {
  const { task, row, ...rest } = pod
  return {
    ...rest,
    attemptId: attemptIdOf(pod.key),
    operator: task.operator?.kind === 'pod' ? task.operator : null,
    priorityWeight: task.priority_weight,
    executionTimeoutMs: task.execution_timeout_ms,
    plannedAt: row?.planned_at.getTime() ?? Date.now(),
    row,
    isFollowed: row === null,
    isAdopted: row !== null,
    isLogFollowed: false,
    isLogHurried: false,
    startedAt: null,
    trouble: null,
    eventsReadAt: 0,
    cancelReason: row?.cancel_reason ?? null,
    tellAgainAt: 0,
    tellRefusal: null,
    refusal: null,
    isEnding: false,
    endFault: null,
  }
}
