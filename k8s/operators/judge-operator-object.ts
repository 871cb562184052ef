// What became of the objects of `job()` and `resource()`, by what the API server has of them. Pure.
import { holds, parseCondition } from '../../runtime/authoring/resource-condition.ts'
import { PodSpecError } from '../../runtime/errors.ts'
import type { V1Job } from '../../runtime/kubernetes-types.ts'
import type { ErrorReport } from '../../runtime/task-runner/protocol.ts'

export type ObjectVerdict =
  | { type: 'running' }
  | { type: 'ended'; state: 'success' | 'failed'; error: ErrorReport | null }

const running: ObjectVerdict = { type: 'running' }
const success: ObjectVerdict = { type: 'ended', state: 'success', error: null }
const failed = (name: string, message: string): ObjectVerdict => ({
  type: 'ended',
  state: 'failed',
  error: { name, message, stack: null },
})

/** @param waits `wait_until_job_complete`: otherwise it has succeeded once it is there */
export function judgeJob(job: V1Job, waits: boolean): ObjectVerdict {
  if (!waits) return success
  const condition = (type: string) =>
    job.status?.conditions?.find((one) => one.type === type && one.status === 'True')
  const failure = condition('Failed')
  if (failure !== undefined) {
    const { succeeded = 0, failed: failedPods = 0 } = job.status ?? {}
    const why = failure.message ?? 'it says no more'
    return failed(
      failure.reason ?? 'JobFailed',
      `the job failed (${succeeded} pods succeeded, ${failedPods} failed): ${why}`,
    )
  }
  return condition('Complete') === undefined ? running : success
}

/**
 * All of them must meet the success condition; one that meets the failure condition fails the task.
 * @param objects as the API server has them; undefined: it is not there
 * @param conditions rendered; null: none
 * @throws PodSpecError where a condition that was a template is none
 */
export function judgeObjects(
  objects: readonly (object | undefined)[],
  conditions: { success_condition: string | null; failure_condition: string | null },
): ObjectVerdict {
  const { success_condition: successText, failure_condition: failureText } = conditions
  if (objects.some((object) => object === undefined)) {
    return failed(
      'ObjectDeleted',
      'an object is not there any more: somebody deleted it before a condition held',
    )
  }
  if (failureText !== null) {
    const terms = termsOf('failureCondition', failureText)
    const index = objects.findIndex((object) => holds(terms, object))
    if (index !== -1)
      return failed(
        'FailureCondition',
        `${nameOf(objects[index]!)} meets its failureCondition: ${failureText}`,
      )
  }
  if (successText === null) return success
  const terms = termsOf('successCondition', successText)
  return objects.every((object) => holds(terms, object)) ? success : running
}

function termsOf(option: string, text: string) {
  const { terms, fault } = parseCondition(text)
  if (terms === null) throw new PodSpecError(`option '${option}' is no condition: ${fault}`)
  return terms
}

function nameOf(object: object): string {
  const { kind = 'object', metadata } = object as { kind?: string; metadata?: { name?: string } }
  return `${kind} '${metadata?.name ?? ''}'`
}
