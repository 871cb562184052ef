// The pod of one attempt: template ← what is generated ← overrides of Dag, groups and task ← spot ← what nobody spoke
// of ← the deployment's hook. Given the same, it is always the same pod, so that the one that is in the cluster can be
// told by its hash from one that somebody else made.
import { PodSpecError } from '../../runtime/errors.ts'
import { tokenAudience, workerVariables } from '../../runtime/execution-api.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { SpotManifest } from '../../runtime/manifest.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'
import { type AttemptIdentity, podAnnotations, podLabels, podName } from './attempt-identity.ts'
import { type DagsParts, dagsParts } from './dags-source.ts'
import { layOver, withoutNulls } from './merge-pods.ts'
import { withDefaults } from './pod-defaults.ts'
import { baseContainer } from './pod-names.ts'
import type { PodSettings } from './pod-settings.ts'
import { withSpecHash } from './spec-hash.ts'
import { onSpot } from './spot.ts'

/** How long a token is good for; the kubelet renews it after four fifths of that. */
const tokenSeconds = 3_600
const tokenVolume = 'branchline-token'
export const tokenPath = '/var/run/secrets/branchline'
const spoolVolume = 'branchline-spool'
const spoolPath = '/var/spool/branchline'

export interface AttemptPodInput {
  identity: AttemptIdentity
  settings: PodSettings
  /** null: the deployment has none, nor has the task. */
  template: V1Pod | null
  /** The Dag's, its groups' from the outside in, the task's: see `overridesOf`. */
  overrides: readonly PodOverride[]
  spot: SpotManifest | null
}

/**
 * The attempt's pod as it is sent, before the deployment's hook.
 * @throws PodSpecError where it cannot be made: no commit for a source of Git, a namespace that is not watched, no image
 */
export function buildAttemptPod({ identity, settings, template, overrides, spot }: AttemptPodInput): V1Pod {
  const dags = dagsParts(settings, identity.commitSha)
  const layers = [generatedPart(identity, settings, template, dags), ...overrides]
  const laid = layers.reduce(layOver, (template ?? {}) as PodOverride)
  const placed = onSpot(laid, spot, identity)
  const { metadata, spec } = withoutNulls(withDefaults(placed, settings)) as Required<V1Pod>
  const { name = '', namespace = settings.namespace, ...rest } = metadata
  const pod: V1Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, ...rest }, spec }
  checkAttemptPod(pod, identity, settings)
  return withSpecHash(pod)
}

function generatedPart(
  identity: AttemptIdentity,
  settings: PodSettings,
  template: V1Pod | null,
  dags: DagsParts,
): PodOverride {
  const { image, imagePullPolicy, imagePullSecrets, serviceAccountName } = settings
  const pullSecrets = new Set([
    ...(template?.spec?.imagePullSecrets ?? []).map(({ name }) => name ?? ''),
    ...imagePullSecrets,
  ])
  return {
    metadata: {
      name: podName(identity),
      labels: podLabels(identity),
      annotations: podAnnotations(identity),
    },
    spec: {
      restartPolicy: 'Never',
      ...(serviceAccountName === null ? {} : { serviceAccountName }),
      ...(pullSecrets.size === 0 ? {} : { imagePullSecrets: [...pullSecrets].map((name) => ({ name })) }),
      ...(dags.initContainers.length === 0 ? {} : { initContainers: dags.initContainers }),
      containers: [
        {
          name: baseContainer,
          ...(image === null ? {} : { image }),
          ...(imagePullPolicy === null ? {} : { imagePullPolicy }),
          args: ['task'],
          env: [
            { name: workerVariables.executionApiUrl, value: settings.executionApiUrl },
            { name: workerVariables.tokenFile, value: `${tokenPath}/token` },
            { name: workerVariables.dagsPath, value: settings.dagsPath },
            { name: workerVariables.spoolPath, value: spoolPath },
          ],
          volumeMounts: [
            { name: tokenVolume, mountPath: tokenPath, readOnly: true },
            { name: spoolVolume, mountPath: spoolPath },
            ...dags.volumeMounts,
          ],
        },
      ],
      volumes: [tokenOfThisPod, { name: spoolVolume, emptyDir: {} }, ...dags.volumes],
    },
  }
}

/** Made by the kubelet for this pod alone: it names the pod, and is worth nothing when the pod is gone. */
export const tokenOfThisPod = {
  name: tokenVolume,
  projected: {
    sources: [
      {
        serviceAccountToken: { path: 'token', audience: tokenAudience, expirationSeconds: tokenSeconds },
      },
    ],
  },
}

/**
 * What must hold of a pod for its attempt to be found, run and reported.
 * @throws PodSpecError
 */
export function checkAttemptPod(pod: V1Pod, identity: AttemptIdentity, settings: PodSettings): void {
  const { namespace = '' } = pod.metadata ?? {}
  const fault = settings.namespaces.includes(namespace)
    ? attemptPodFault(pod, identity)
    : `the pod's namespace is '${namespace}', which is not watched: name it in kubernetes_namespaces, or use ${settings.namespaces.join(' or ')}`
  if (fault !== null) throw new PodSpecError(fault, { details: { pod: podName(identity) } })
}

/** The same but for the namespace; null where nothing is wrong. */
export function attemptPodFault(pod: V1Pod, identity: AttemptIdentity): string | null {
  const { metadata, spec } = pod
  const name = podName(identity)
  if (metadata?.name !== name) {
    return `the pod is named '${metadata?.name}', but its attempt is found by '${name}': leave the name as it is`
  }
  const base = Array.isArray(spec?.containers) ? spec.containers[0] : undefined
  if (base?.name !== baseContainer) {
    return `the first container is '${base?.name}', but the task runs in '${baseContainer}': put that first`
  }
  if (!base.image) {
    return `the container '${baseContainer}' has no image: set worker_image, or an image in the pod template or an override`
  }
  return (
    lostMark('label', metadata.labels, podLabels(identity)) ??
    lostMark('annotation', metadata.annotations, podAnnotations(identity))
  )
}

function lostMark(
  what: string,
  given: Record<string, string> | undefined,
  needed: Record<string, string>,
): string | null {
  const lost = Object.keys(needed).find((key) => given?.[key] !== needed[key])
  return lost === undefined
    ? null
    : `the ${what} ${lost} is ${JSON.stringify(given?.[lost] ?? null)}, but pods are found by it: leave it as it is`
}
