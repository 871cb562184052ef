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
import { baseContainer, defaultContainerAnnotation } from './pod-names.ts'
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
export function buildAttemptPod(input: AttemptPodInput): V1Pod {
  const { identity, settings } = input
  const { metadata, spec } = withoutNulls(attemptPodStages(input).at(-1)) as Required<V1Pod>
  const { name, namespace, ...others } = metadata
  const { initContainers = [], containers, volumes = [], ...rest } = spec
  const pod: V1Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...(name === undefined ? {} : { name }),
      namespace: namespace ?? settings.namespace,
      ...others,
    },
    spec: { ...rest, ...(initContainers.length === 0 ? {} : { initContainers }), containers, volumes },
  }
  checkAttemptPod(pod, identity, settings)
  return withSpecHash(pod)
}

/**
 * The pod as it grows: the template, with what is generated, with each override, on spot nodes, with the defaults. Its
 * nulls, which take away, are still in it.
 * @throws PodSpecError where the source is Git, and the run has no commit
 */
export function attemptPodStages({
  identity,
  settings,
  template,
  overrides,
  spot,
}: AttemptPodInput): PodOverride[] {
  const dags = dagsParts(settings, identity.commitSha)
  const stages: PodOverride[] = [template ?? {}]
  for (const part of [generatedPart(identity, settings, template, dags), ...overrides]) {
    stages.push(layOver(stages.at(-1)!, part))
  }
  const placed = onSpot(stages.at(-1)!, spot, identity)
  return [...stages, placed, withDefaults(placed, settings)]
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
      annotations: { [defaultContainerAnnotation]: baseContainer, ...podAnnotations(identity) },
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

/**
 * The same but for the namespace; null where nothing is wrong.
 * @param made the pod before somebody else changed it, whose names count; default: those of a worker pod
 */
export function attemptPodFault(pod: V1Pod, identity: AttemptIdentity, made?: V1Pod): string | null {
  const { metadata, spec } = pod
  const name = made?.metadata?.name ?? podName(identity)
  const baseName = made?.spec?.containers[0]?.name ?? baseContainer
  if (metadata?.name !== name) {
    return `the pod is named '${metadata?.name}', but its attempt is found by '${name}': leave the name as it is`
  }
  const base = Array.isArray(spec?.containers) ? spec.containers[0] : undefined
  if (base?.name !== baseName) {
    return `the first container is '${base?.name}', but the task runs in '${baseName}': put that first`
  }
  if (!base.image) {
    return `the container '${baseName}' has no image: set worker_image, or an image in the pod template or an override`
  }
  if (spec?.restartPolicy !== 'Never') {
    return `restartPolicy is '${spec?.restartPolicy}', but another attempt has another pod: leave it 'Never'`
  }
  return (
    lostMark('label', metadata.labels, neededLabels(identity, made)) ??
    lostMark('annotation', metadata.annotations, podAnnotations(identity))
  )
}

/** Of an operator's pod, the author may have said what it is instead. */
function neededLabels(identity: AttemptIdentity, made: V1Pod | undefined): Record<string, string> {
  const labels = Object.entries(podLabels(identity))
  const isNeeded = ([key, value]: [string, string]) =>
    made === undefined || made.metadata?.labels?.[key] === value
  return Object.fromEntries(labels.filter(isNeeded))
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
