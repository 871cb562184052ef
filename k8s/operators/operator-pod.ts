// The pod of one attempt of `pod()`: template ← full_pod_spec ← the options ← what we need to find it and to take its
// result. Given the same, it is always the same pod.
//
// The image is somebody's own, made for who knows which user, so nothing is forced upon it but the container runtime's
// own filter of system calls; a namespace that enforces the restricted policy is satisfied by `securityContext` and
// `containerSecurityContext`. The sidecar is ours, and restricted. Overrides of Dag and groups speak of worker pods and
// are not laid over it, and neither is the deployment's pod template.
import { PodSpecError } from '../../runtime/errors.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { SpotManifest } from '../../runtime/manifest.ts'
import type { PodOperatorManifest, PodParameters } from '../../runtime/operator-manifest.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'
import type { TemplateVariables } from '../../runtime/templates/template-variables.ts'
import { type AttemptIdentity, podAnnotations, podLabels } from '../pod/attempt-identity.ts'
import { layOver, withoutNulls } from '../pod/merge-pods.ts'
import type { PodSettings } from '../pod/pod-settings.ts'
import { withSpecHash } from '../pod/spec-hash.ts'
import { onSpot } from '../pod/spot.ts'
import { operatorName } from './operator-name.ts'
import { operatorPart } from './operator-part.ts'
import { renderOperator, renderTexts } from './render-operator.ts'
import { xcomContainer, xcomMounts, xcomSidecar, xcomVolumes } from './xcom-sidecar.ts'

/** Tells kubectl which container is meant where none is named. */
const defaultContainerAnnotation = 'kubectl.kubernetes.io/default-container'

export interface OperatorPodInput<Manifest> {
  identity: AttemptIdentity
  settings: PodSettings
  /** As it stands in the Dag's manifest, its templates not rendered. */
  operator: Manifest
  variables: TemplateVariables
  /** What pod_template_file holds in the run's commit, read by `parseOperatorTemplate`; null where none is named. */
  template: V1Pod | null
  /** Of the task, as for worker pods. */
  spot: SpotManifest | null
}

/**
 * The pod as it is sent, before the deployment's hook. Its name is metadata.name, not always `podName(identity)`.
 * @throws TemplateError where a template names what the run does not have
 * @throws PodSpecError where it cannot be made: no image, a namespace that is not watched, a name that is none
 */
export function buildOperatorPod(input: OperatorPodInput<PodOperatorManifest>): V1Pod {
  const { settings, variables } = input
  const operator = renderOperator(input.operator, variables)
  const { labels, annotations, ...pod } = describedPod({ ...input, operator })
  const [base, ...others] = pod.spec.containers
  if (base === undefined || !base.image) {
    throw new PodSpecError(
      'the pod has no image: set the option image, or an image in fullPodSpec or its template',
    )
  }
  const complete = operator.do_xcom_push ? withSidecar(pod, operator, settings) : pod
  return withSpecHash({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...complete.metadata,
      labels: { ...labels, ...complete.metadata.labels, ...ownOf(podLabels(input.identity)) },
      annotations: {
        [defaultContainerAnnotation]: base.name,
        ...complete.metadata.annotations,
        ...annotations,
      },
    },
    spec: { ...complete.spec, containers: [complete.spec.containers[0]!, ...others] },
  })
}

type DescribedPod = Required<Pick<V1Pod, 'metadata' | 'spec'>>

/**
 * The pod that template, full_pod_spec and options describe, with its name and namespace.
 * @param operator rendered
 */
export function describedPod({
  identity,
  settings,
  operator,
  variables,
  template,
  spot,
}: OperatorPodInput<PodParameters>): DescribedPod & {
  labels: Record<string, string>
  annotations: Record<string, string>
} {
  const base = template === null ? operator.pod_template_dict : renderTexts(template, variables, templateFile)
  const layers = [operator.full_pod_spec, operatorPart(operator, variables.inputs)] as (PodOverride | null)[]
  const laid = layers.reduce<PodOverride>(
    (below, layer) => (layer === null ? below : layOver(below, layer)),
    (base ?? {}) as PodOverride,
  )
  const { metadata, spec } = withoutNulls(onSpot(laid, spot, identity)) as V1Pod
  const namespace = operator.namespace ?? metadata?.namespace ?? settings.namespace
  if (!settings.namespaces.includes(namespace)) {
    throw new PodSpecError(
      `the pod's namespace is '${namespace}', which is not watched: name it in kubernetes_namespaces, or use ${settings.namespaces.join(' or ')}`,
    )
  }
  return {
    metadata: { ...metadata, name: operatorName(identity, operator, metadata?.name), namespace },
    spec: {
      ...spec!,
      securityContext: { seccompProfile: { type: 'RuntimeDefault' }, ...spec!.securityContext },
    },
    labels: podLabels(identity),
    annotations: podAnnotations(identity),
  }
}

const templateFile = { key: 'pod_template_file', name: 'podTemplateFile' }

/** Labels by which pods are found; the others say what it is, and the author may know better. */
function ownOf(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => name.startsWith('branchline.dev/')))
}

/** @param operator rendered */
function withSidecar(pod: DescribedPod, operator: PodOperatorManifest, settings: PodSettings): DescribedPod {
  if (settings.image === null) {
    throw new PodSpecError(
      'doXcomPush needs a sidecar with our programs: set worker_image for the deployment',
    )
  }
  const { spec } = pod
  const [base, ...others] = spec.containers
  const taken = [...(spec.initContainers ?? []), ...spec.containers].some(
    ({ name }) => name === xcomContainer,
  )
  if (taken)
    throw new PodSpecError(`the pod has a container '${xcomContainer}', which is the name of our sidecar`)
  const pullSecrets = new Set([
    ...(spec.imagePullSecrets ?? []).map(({ name }) => name ?? ''),
    ...settings.imagePullSecrets,
  ])
  const sidecar = xcomSidecar({
    settings,
    image: settings.image,
    user: { ...userOf(spec.securityContext), ...userOf(base!.securityContext) },
    securityContext: operator.xcom_sidecar_container_security_context,
  })
  return {
    ...pod,
    spec: {
      ...spec,
      ...(pullSecrets.size === 0 ? {} : { imagePullSecrets: [...pullSecrets].map((name) => ({ name })) }),
      // Last: while the author's own prepare the pod, it is not needed.
      initContainers: [...(spec.initContainers ?? []), sidecar],
      containers: [{ ...base!, volumeMounts: [...(base!.volumeMounts ?? []), ...xcomMounts] }, ...others],
      volumes: [...(spec.volumes ?? []), ...xcomVolumes],
    },
  }
}

function userOf(context: { runAsUser?: number; runAsGroup?: number } | undefined) {
  const { runAsUser, runAsGroup } = context ?? {}
  return {
    ...(runAsUser === undefined ? {} : { runAsUser }),
    ...(runAsGroup === undefined ? {} : { runAsGroup }),
  }
}
