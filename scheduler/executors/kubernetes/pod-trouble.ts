// Why a pod does not run, and for how long: what is amiss now is noted whenever the pod is looked at, and the clock says
// when it is told in the attempt's log, and when it ends the attempt. Pure but for the pod that it notes things on.
import type { ErrorReport } from '../../../runtime/task-runner/protocol.ts'
import type { ActivePod, PodTrouble } from './active-pod.ts'
import { type EndedVerdict, endedPending } from './judge-pod.ts'
import type { KubernetesExecutorSettings } from './settings.ts'

/** Most of it is over sooner. */
const sayAfterMs = 2_000
/** Words that change all the time (`used: pods=37`) are not a line each time. */
const sayAgainMs = 60_000

/** @param words null: nothing is amiss */
export function noteTrouble(
  pod: ActivePod,
  words: Pick<ErrorReport, 'name' | 'message'> | null,
  isFatal: boolean,
): void {
  if (words === null) {
    pod.trouble = null
    return
  }
  const { name, message } = words
  const before = pod.trouble?.isFatal === isFatal ? pod.trouble : null
  const isSaid = before?.message === message && before.isSaid
  const saidAt = before?.saidAt ?? null
  pod.trouble = { name, message, isFatal, since: before?.since ?? Date.now(), isSaid, saidAt }
}

/** What is to be said of it by now; null: nothing, or it was said. */
export function troubleToSay({ trouble }: ActivePod, now: number): PodTrouble | null {
  if (trouble === null || trouble.isSaid || now - trouble.since < sayAfterMs) return null
  return trouble.saidAt === null || now - trouble.saidAt >= sayAgainMs ? trouble : null
}

/** The end of a pod that has waited for long enough; null: it has not. */
export function endByClock(
  pod: ActivePod,
  settings: Pick<KubernetesExecutorSettings, 'fatalGraceMs' | 'pendingTimeoutMs'>,
  now: number,
): EndedVerdict | null {
  const { trouble, row } = pod
  if (trouble?.isFatal && now - trouble.since >= settings.fatalGraceMs) {
    return endedPending({ ...wordsOf(trouble), stack: null }, 'fatal', now - trouble.since)
  }
  // One that was not taken yet waits for the API server, which may say 'not now' for hours; one of pod() has timeouts
  // of its own.
  if (row === null || row.state === 'planned' || pod.operator !== null) return null
  const sinceMs = now - (row.created_at ?? row.planned_at).getTime()
  if (sinceMs < settings.pendingTimeoutMs) return null
  const words = trouble ?? { name: 'PendingTimeout', message: 'nobody said why' }
  return endedPending({ ...wordsOf(words), stack: null }, 'timeout', sinceMs)
}

function wordsOf({ name, message }: Pick<PodTrouble, 'name' | 'message'>) {
  return { name, message }
}
