// What `job()` and `resource()` make for one attempt: their objects, and how they are judged, rendered once and kept in
// the ledger, so that whoever takes the attempt over needs nothing else.
import type { KubernetesObject } from '../../../k8s/client/kubernetes-client.ts'
import { buildOperatorJob } from '../../../k8s/operators/operator-job.ts'
import { buildOperatorObjects } from '../../../k8s/operators/operator-objects.ts'
import { renderOperator } from '../../../k8s/operators/render-operator.ts'
import type { AttemptIdentity } from '../../../k8s/pod/attempt-identity.ts'
import type { PodSettings } from '../../../k8s/pod/pod-settings.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { SpotManifest } from '../../../runtime/manifest.ts'
import type { JobOperatorManifest, ResourceOperatorManifest } from '../../../runtime/operator-manifest.ts'
import type { TemplateVariables } from '../../../runtime/templates/template-variables.ts'

/** As the ledger has it. */
export interface ObjectsManifest {
  kind: 'job' | 'resource'
  action: ResourceOperatorManifest['action']
  patchType: ResourceOperatorManifest['patch_type']
  objects: KubernetesObject[]
  /** Of a job: its end is waited for. */
  waits: boolean
  success_condition: string | null
  failure_condition: string | null
}

export function buildObjects(input: {
  identity: AttemptIdentity
  settings: PodSettings
  operator: JobOperatorManifest | ResourceOperatorManifest
  variables: TemplateVariables
  /** Of a job's pods. */
  template: V1Pod | null
  spot: SpotManifest | null
}): ObjectsManifest {
  const { operator, variables } = input
  if (operator.kind === 'job') {
    return {
      kind: 'job',
      action: 'create',
      patchType: 'merge',
      objects: [buildOperatorJob({ ...input, operator }) as unknown as KubernetesObject],
      waits: operator.wait_until_job_complete,
      success_condition: null,
      failure_condition: null,
    }
  }
  const { success_condition, failure_condition } = renderOperator(operator, variables)
  return {
    kind: 'resource',
    action: operator.action,
    patchType: operator.patch_type,
    objects: buildOperatorObjects({ ...input, operator }),
    waits: true,
    success_condition,
    failure_condition,
  }
}
