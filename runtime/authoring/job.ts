// `job()`: a Kubernetes Job becomes a task, as by Airflow's KubernetesJobOperator: its pods are the cluster's to make
// again and to count, and the task ends as the job does.

import type { V1Job } from '../kubernetes-types.ts'
import type { JobOperatorManifest } from '../operator-manifest.ts'
import type { Task } from './handles.ts'
import { refuse } from './option-values.ts'
import { addOperator } from './pod-operator.ts'
import type { AlwaysSoOptions, OperatorTaskOptions, PodParameterOptions } from './pod-operator-options.ts'
import type { SnakeCased } from './pod-option-names.ts'
import { podParameterNames, readPodParameters } from './pod-parameters.ts'
import { choice, flag, kubernetesObject, seconds, wholeNumber } from './pod-values.ts'

/** Options of `job()`. Airflow's spelling in snake case is accepted too. */
export type JobOptions = OperatorTaskOptions &
  PodParameterOptions &
  AlwaysSoOptions & {
    /** Pods at once. Default: Kubernetes' own, 1. */
    readonly parallelism?: number | null
    /** Pods that must succeed. Default: Kubernetes' own, 1. */
    readonly completions?: number | null
    /** 'Indexed': each pod knows its number, as JOB_COMPLETION_INDEX. */
    readonly completionMode?: 'NonIndexed' | 'Indexed' | null
    /** Pods that may fail before the job does. Default: Kubernetes' own, 6. */
    readonly backoffLimit?: number | null
    /** After so long the cluster deletes the ended job with its pods; seconds, or '1h'. */
    readonly ttlSecondsAfterFinished?: number | string | null
    /** Whether the job waits until somebody lets it begin. */
    readonly suspend?: boolean | null
    /** Whether the task waits for the job's end. Default true, unlike Airflow's: a task that ends with the create tells nothing. */
    readonly waitUntilJobComplete?: boolean | null
    /** A whole job, under these options. */
    readonly fullJobSpec?: V1Job | null
  }

const ownOptionNames = [
  'parallelism',
  'completions',
  'completionMode',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'suspend',
  'waitUntilJobComplete',
  'fullJobSpec',
] as const satisfies readonly (keyof JobOptions)[]

/**
 * A task that is a job. It succeeds when the job is complete, and fails when the job has failed.
 *
 * ```ts
 * job('resize', { image: 'resizer:2', completions: 20, parallelism: 5, completionMode: 'Indexed' })
 * ```
 * @throws DagDefinitionError outside of a Dag, and where an id, input or option cannot be
 */
export function job(id: string, options: JobOptions & Partial<SnakeCased<JobOptions>>): Task<undefined> {
  return addOperator<undefined, JobOperatorManifest>({
    id,
    options,
    kind: 'job',
    optionNames: [...podParameterNames, ...ownOptionNames],
    read: readJobOperator,
  })
}

function readJobOperator(place: string, options: Readonly<Record<string, unknown>>): JobOperatorManifest {
  const at = (option: keyof JobOptions) => ({ place, option })
  const fullJob = readFullJob(place, options.fullJobSpec)
  const template = ((fullJob?.spec ?? {}) as { template?: Record<string, unknown> }).template ?? null
  return {
    kind: 'job',
    ...readPodParameters(place, options, template),
    parallelism: wholeNumber(0)(at('parallelism'), options.parallelism),
    completions: wholeNumber(1)(at('completions'), options.completions),
    completion_mode: choice('NonIndexed', 'Indexed')(at('completionMode'), options.completionMode),
    backoff_limit: wholeNumber(0)(at('backoffLimit'), options.backoffLimit),
    ttl_seconds_after_finished: seconds(0)(at('ttlSecondsAfterFinished'), options.ttlSecondsAfterFinished),
    suspend: flag(at('suspend'), options.suspend),
    wait_until_job_complete: flag(at('waitUntilJobComplete'), options.waitUntilJobComplete) ?? true,
    full_job_spec: fullJob,
  }
}

function readFullJob(place: string, value: unknown): Record<string, unknown> | null {
  const at = { place, option: 'fullJobSpec' }
  const job = kubernetesObject<Record<string, unknown>>()(at, value)
  if (job === null) return null
  if (job.kind !== undefined && job.kind !== 'Job') refuse(at, job.kind, 'of kind Job')
  const stray = Object.keys(job).find((key) => !['apiVersion', 'kind', 'metadata', 'spec'].includes(key))
  if (stray !== undefined) refuse(at, stray, 'a job, with metadata and spec')
  return job
}
