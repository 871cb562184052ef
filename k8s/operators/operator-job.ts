// The Job of one attempt of `job()`, and what became of it. Its name is derived from the attempt, as a pod's is. Its
// pods carry the labels of the attempt but for the deployment's: pods with that one are attempts themselves, and these
// are the cluster's to make, to make again and to delete.

import { PodSpecError } from '../../runtime/errors.ts'
import type { V1Job, V1Pod } from '../../runtime/kubernetes-types.ts'
import type { JobOperatorManifest, KubernetesObject } from '../../runtime/operator-manifest.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'
import { layOver } from '../pod/merge-pods.ts'
import { withoutDeployment } from './operator-objects.ts'
import { describedPod, type OperatorPodInput } from './operator-pod.ts'
import { renderOperator } from './render-operator.ts'

/**
 * @throws TemplateError where a template names what the run does not have
 * @throws PodSpecError where it cannot be made
 */
export function buildOperatorJob(input: OperatorPodInput<JobOperatorManifest>): V1Job {
  const operator = renderOperator(input.operator, input.variables)
  const full = (operator.full_job_spec ?? {}) as Partial<V1Job>
  const full_pod_spec = layOver(
    (full.spec?.template ?? {}) as PodOverride,
    (operator.full_pod_spec ?? {}) as PodOverride,
  ) as KubernetesObject
  const { metadata, spec, labels, annotations } = describedPod({
    ...input,
    operator: { ...operator, full_pod_spec, name: operator.name ?? full.metadata?.name ?? null },
  })
  if (!spec.containers[0]?.image) {
    throw new PodSpecError(
      'the job has no image: set the option image, or an image in fullJobSpec or its template',
    )
  }
  const own = withoutDeployment(labels)
  const { template: _, ...jobSpec } = full.spec ?? ({} as Partial<NonNullable<V1Job['spec']>>)
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...full.metadata,
      name: metadata.name!,
      namespace: metadata.namespace!,
      labels: { ...full.metadata?.labels, ...metadata.labels, ...own },
      annotations: { ...full.metadata?.annotations, ...metadata.annotations, ...annotations },
    },
    spec: {
      ...jobSpec,
      ...said('parallelism', operator.parallelism),
      ...said('completions', operator.completions),
      ...said('completionMode', operator.completion_mode),
      ...said('backoffLimit', operator.backoff_limit),
      ...said('ttlSecondsAfterFinished', operator.ttl_seconds_after_finished),
      ...said('suspend', operator.suspend),
      template: podOfJob({ labels: { ...metadata.labels, ...own }, annotations: metadata.annotations }, spec),
    },
  }
}

function podOfJob(
  {
    labels,
    annotations,
  }: { labels: Record<string, string>; annotations: Record<string, string> | undefined },
  spec: NonNullable<V1Pod['spec']>,
): Pick<V1Pod, 'metadata' | 'spec'> {
  return { metadata: { labels, ...(annotations === undefined ? {} : { annotations }) }, spec }
}

function said<Key extends string, Value>(key: Key, value: Value | null): { [Name in Key]?: Value } {
  return (value === null ? {} : { [key]: value }) as { [Name in Key]?: Value }
}
