// What the row of a pod of `pod()` means for its attempt: its container's end, as k8s/operators judges it, and the
// result that its sidecar sent. Pure.
import { type JudgedOperatorPod, judgeOperatorPod } from '../../../k8s/operators/judge-operator-pod.ts'
import type { PodOperatorManifest } from '../../../runtime/operator-manifest.ts'
import { cancelledWords, endedGone, type JudgedPod, type PodVerdict } from './judge-pod.ts'

export function judgeOperator(
  pod: JudgedPod,
  operator: PodOperatorManifest,
  context: Pick<JudgedOperatorPod, 'fatalReasons' | 'nowMs'>,
): PodVerdict {
  const { observation } = pod
  if (observation === null) {
    return pod.is_gone ? endedGone(pod, null) : { type: 'pending', words: null, isFatal: false }
  }
  const seen = pod.is_gone ? { ...observation, is_deleted: true } : observation
  const verdict = judgeOperatorPod({
    ...context,
    observation: seen,
    operator,
    finish: pod.finish,
  })
  if (verdict.type !== 'ended') return verdict
  const { isInfrastructure, error, exit_code } = verdict
  const isKilled = pod.cancel_reason !== null && verdict.state === 'failed'
  return {
    type: 'ended',
    outcome: {
      state: verdict.state,
      retryable: verdict.retryable,
      error: isKilled ? cancelledWords(pod.cancel_reason!) : error,
      exit_code,
    },
    isInfrastructure: isInfrastructure && !isKilled,
    hasUnsentLog: false,
  }
}
