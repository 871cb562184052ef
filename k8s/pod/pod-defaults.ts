// What a pod has when nobody said otherwise: Kubernetes' restricted Pod Security, no token of a service account, no
// variables of services, the last words of a container as its message. Field by field: a template or an override that
// sets one field of a security context keeps the rest of ours, and one that says null does without.
//
// Containers of the user's own (sidecars, their init containers) get what the pod as a whole has, and nothing of what
// is set container by container: what they were made for is not known here.
import type { V1PodSecurityContext, V1SecurityContext } from '../../runtime/kubernetes-types.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'
import { gitSyncUser } from './dags-source.ts'
import { gitSyncContainer } from './pod-names.ts'

type Spec = NonNullable<PodOverride['spec']>
type Container = NonNullable<Spec['containers']>[number]

const podSecurity: V1PodSecurityContext = {
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
}

const containerSecurity: V1SecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
}

/** With the image's own user, whatever the pod has otherwise: SSH does without a name, but not without an entry. */
const gitSyncSecurity: V1SecurityContext = {
  ...containerSecurity,
  runAsUser: gitSyncUser,
  runAsGroup: gitSyncUser,
}

/** Where the root file system is read-only, this is where everything expects to be able to write. */
const tmpMount = { name: 'branchline-tmp', mountPath: '/tmp' }

/** What a container that failed wrote last becomes part of its status. */
const lastWords = { terminationMessagePolicy: 'FallbackToLogsOnError' }

/** `pod` with what it does not speak of; its nulls stay. */
export function withDefaults(
  pod: PodOverride,
  { terminationGracePeriodSeconds }: { terminationGracePeriodSeconds: number },
): PodOverride {
  const spec: Spec = pod.spec ?? {}
  const [base, ...sidecars] = spec.containers ?? []
  const needsTmp = base?.volumeMounts?.some(({ mountPath }) => mountPath === tmpMount.mountPath) !== true
  const volumes = spec.volumes ?? []
  // Given under our name: with a size limit, or in memory.
  const hasTmp = volumes.some(({ name }) => name === tmpMount.name)
  const initContainers = spec.initContainers?.map((container) =>
    container.name === gitSyncContainer
      ? withContainerDefaults(container, gitSyncSecurity)
      : // Its log goes with the pod: the end of it is all that tells why it failed.
        { ...fill(container, lastWords) },
  )
  return {
    ...pod,
    spec: {
      ...fill(spec, {
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds,
      }),
      securityContext: fill(spec.securityContext, podSecurity),
      ...(initContainers === undefined ? {} : { initContainers }),
      containers: [
        ...(base === undefined
          ? []
          : [withContainerDefaults(needsTmp ? withTmp(base) : base, containerSecurity)]),
        ...sidecars,
      ],
      volumes: [...volumes, ...(needsTmp && !hasTmp ? [{ name: tmpMount.name, emptyDir: {} }] : [])],
    },
  }
}

function withTmp(container: Container): Container {
  return { ...container, volumeMounts: [...(container.volumeMounts ?? []), tmpMount] }
}

function withContainerDefaults(container: Container, security: V1SecurityContext): Container {
  return {
    ...fill(container, lastWords),
    securityContext: fill(container.securityContext, security),
  }
}

/** What was said, and of `defaults` what was not; null as a whole stays null. */
function fill<Said extends object | null, Defaults extends object>(
  said: Said | undefined,
  defaults: Defaults,
): (Said & Defaults) | null {
  if (said === null) return null
  const given = (said ?? {}) as Record<string, unknown>
  const missing = Object.entries(defaults).filter(([key]) => given[key] === undefined)
  return { ...given, ...Object.fromEntries(missing) } as Said & Defaults
}
