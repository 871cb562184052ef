// What was seen of an operator's pod means for its attempt. Pure: the same observation and time give the same verdict.
// The container that is the task decides alone: sidecars of the author's may go on, and are ended with the pod. Where a
// result is to be taken, the attempt succeeds only once our sidecar has said that it was.
import type { PodOperatorManifest } from '../../runtime/operator-manifest.ts'
import type { ErrorReport, FinishReport } from '../../runtime/task-runner/protocol.ts'
import { nodeReasons, unseenEndReasons } from '../node-reasons.ts'
import { isStuck, type PodObservation } from '../pod-observation.ts'
import { type PodWords, podWords } from '../pod-words.ts'
import { xcomContainer } from './xcom-sidecar.ts'

export interface OperatorEnd {
  type: 'ended'
  state: 'success' | 'failed' | 'skipped'
  /** null where it succeeded. */
  error: ErrorReport | null
  /** Of the container that is the task; null where it never ended by itself. */
  exit_code: number | null
  /** False: another attempt would end the same way. */
  retryable: boolean
  /** The cluster failed it, not the task. */
  isInfrastructure: boolean
}

export type OperatorVerdict =
  /** Not running yet. `words`: why, where it is known; `isFatal`: time does not mend it. */
  | { type: 'pending'; words: ErrorReport | null; isFatal: boolean }
  /** Also while its result is sent. */
  | { type: 'running' }
  | OperatorEnd

export interface JudgedOperatorPod {
  observation: PodObservation
  operator: Pick<
    PodOperatorManifest,
    'do_xcom_push' | 'skip_on_exit_code' | 'startup_timeout_seconds' | 'schedule_timeout_seconds'
  >
  /** What the server has of its result; null: nothing was sent yet. */
  finish: Pick<FinishReport, 'state' | 'error'> | null
  /** Of waiting containers: reasons that time does not mend. */
  fatalReasons: readonly string[]
  nowMs: number
}

/** Of SIGKILL. */
const killedExitCode = 137

/** What became of a pod of `pod()`; the caller knows whether somebody asked for its end, and judges that first. */
export function judgeOperatorPod(judged: JudgedOperatorPod): OperatorVerdict {
  const { observation, operator } = judged
  const base = observation.containers[0]
  if (base?.state === 'terminated' && base.exit_code !== null) {
    if (operator.skip_on_exit_code.includes(base.exit_code)) {
      const words = `skipped: container ${base.name} ended with exit code ${base.exit_code}`
      return end('skipped', { error: error('PodSkipped', words), exit_code: base.exit_code })
    }
    if (base.exit_code === 0) return judgeResult(judged)
    // A node that is drained ends the container as if it had failed; one that was down did not see its end.
    const isInfrastructure = isByCluster(observation) || unseenEndReasons.has(base.reason ?? '')
    return failed(observation, { exit_code: base.exit_code, isInfrastructure })
  }
  if (observation.phase === 'Failed' || observation.phase === 'Succeeded' || observation.is_deleted) {
    const isInfrastructure =
      isByCluster(observation) || (observation.is_deleted && observation.phase !== 'Failed')
    return failed(observation, { isInfrastructure })
  }
  if (base?.state === 'running') return { type: 'running' }
  return lateStart(judged) ?? pending(judged)
}

/** After exit code 0. */
function judgeResult({ observation, operator, finish }: JudgedOperatorPod): OperatorVerdict {
  const success = end('success', { error: null, exit_code: 0 })
  if (!operator.do_xcom_push || finish?.state === 'success') return success
  if (finish !== null) return end('failed', { error: finish.error, exit_code: 0 })
  const sidecar = observation.init_containers.find(({ name }) => name === xcomContainer)
  if (sidecar?.state === 'terminated' && sidecar.exit_code === 0) return success
  if (sidecar?.state === 'terminated') {
    const why = sidecar.message?.trim() || `its sidecar ended with exit code ${sidecar.exit_code}`
    const words = `container ${observation.containers[0]!.name} ended with exit code 0, but its result was not taken: ${why}`
    // Killed with the pod's grace: the server was away for longer.
    const isInfrastructure = sidecar.exit_code === killedExitCode
    return end('failed', { error: error('XComNotTaken', words), exit_code: 0, isInfrastructure })
  }
  if (!observation.is_deleted) return { type: 'running' }
  const words = 'the pod was gone before its result was taken'
  return end('failed', { error: error('XComNotTaken', words), exit_code: 0, isInfrastructure: true })
}

/** Or by somebody who deleted it. */
function isByCluster({ disruption, deletion_timestamp, reason }: PodObservation): boolean {
  return disruption !== null || deletion_timestamp !== null || (reason !== null && nodeReasons.has(reason))
}

/** The pod did not get as far as its options give it time for. */
function lateStart({ observation, operator, nowMs }: JudgedOperatorPod): OperatorEnd | null {
  const { startup_timeout_seconds: startup, schedule_timeout_seconds: schedule } = operator
  if (observation.created_at === null) return null
  const seconds = (nowMs - Date.parse(observation.created_at)) / 1000
  const words = wordsOf(observation)
  const why = words.message === null ? words.status : `${words.status}: ${words.message}`
  const late = (name: string, problem: string) =>
    end('failed', { error: error(name, `${problem}: ${why}`), exit_code: null })
  if (observation.node_name === null && seconds > (schedule ?? startup)) {
    return late('ScheduleTimeout', `the pod had no node within ${schedule ?? startup} seconds`)
  }
  if (observation.node_name !== null && seconds > startup + (schedule ?? 0)) {
    return late('StartupTimeout', `the pod did not run within ${startup + (schedule ?? 0)} seconds`)
  }
  return null
}

function pending({ observation, fatalReasons }: JudgedOperatorPod): OperatorVerdict {
  const waiting = [...observation.init_containers, ...observation.containers].find(isStuck)
  const { unschedulable } = observation
  if (waiting === undefined && unschedulable === null) return { type: 'pending', words: null, isFatal: false }
  const { status, message } = wordsOf(observation)
  const isFatal = unschedulable === null && waiting !== undefined && fatalReasons.includes(waiting.reason!)
  return { type: 'pending', words: error(status, message ?? status), isFatal }
}

function failed(
  observation: PodObservation,
  { exit_code = null, isInfrastructure }: { exit_code?: number | null; isInfrastructure: boolean },
): OperatorEnd {
  const { status, message } = wordsOf(observation)
  const name = status === 'Error' || status.startsWith('ExitCode:') ? 'PodFailed' : status
  return end('failed', { error: error(name, message ?? status), exit_code, isInfrastructure })
}

function end(
  state: OperatorEnd['state'],
  rest: Pick<OperatorEnd, 'error' | 'exit_code'> & { isInfrastructure?: boolean },
): OperatorEnd {
  return { type: 'ended', state, retryable: state === 'failed', isInfrastructure: false, ...rest }
}

function wordsOf(observation: PodObservation): PodWords {
  const notRefused = { waiting_reason: null, waiting_message: null }
  return podWords({ state: 'created', observation, is_gone: observation.is_deleted, ...notRefused })
}

const error = (name: string, message: string): ErrorReport => ({ name, message, stack: null })
