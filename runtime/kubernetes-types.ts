// The types of Kubernetes' objects, as its own API description generates them: what a pod template, an override or an
// observation is made of. Only types, so that nobody who imports them loads a client; and not from the package's own
// index, which leads to types of packages that a user's compiler does not find.
export type {
  CoreV1Event,
  V1Affinity,
  V1Container,
  V1ContainerPort,
  V1ContainerStatus,
  V1EnvFromSource,
  V1EnvVar,
  V1HostAlias,
  V1Job,
  V1LocalObjectReference,
  V1Pod,
  V1PodCondition,
  V1PodDNSConfig,
  V1PodSecurityContext,
  V1PodSpec,
  V1PodStatus,
  V1ResourceRequirements,
  V1SecurityContext,
  V1Toleration,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node/dist/gen/models/all.js'
