// The pod of an attempt that has not ended, as the scheduler that leases its run has it in memory. Nothing in it is
// the truth: it is made again from the ledger whenever a scheduler takes the run over.
import type { AttemptPlace } from '../../../runtime/log-line.ts'
import type { CancelReason } from '../../../runtime/task-runner/protocol.ts'
import type { PodKey, PodKind, PodRow } from '../../database/pod-rows.ts'

export interface ActivePod {
  readonly attemptId: string
  readonly token: string
  readonly key: PodKey
  readonly place: AttemptPlace
  readonly kind: PodKind
  readonly namespace: string
  readonly podName: string
  readonly priorityWeight: number
  /** Milliseconds since the epoch. */
  readonly plannedAt: number
  /** What the ledger said last; null: it was only planned. */
  row: PodRow | null
  /** Reports of it can be taken; see `Adoption`. */
  isFollowed: boolean
  isStartReported: boolean
  /** Why it cannot run, and since when that holds; null where nothing is amiss. */
  trouble: { name: string; message: string; isFatal: boolean; since: number; isLogged: boolean } | null
  cancelReason: CancelReason | null
  /** Its end is being found out, or is reported. */
  isEnding: boolean
}
