// A pod's fingerprint: what was to be created, before the API server adds its own fields. When a create is answered
// 'already exists', the annotation of the pod that is there says whether it is the one that was meant.
import { createHash } from 'node:crypto'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import { specHashAnnotation } from './pod-names.ts'

/** SHA-256, hexadecimal, of the pod without that annotation; the order of keys does not matter, that of lists does. */
export function specHash(pod: V1Pod): string {
  const { [specHashAnnotation]: _, ...annotations } = pod.metadata?.annotations ?? {}
  const plain = { ...pod, metadata: { ...pod.metadata, annotations } }
  return createHash('sha256').update(canonicalJson(plain)).digest('hex')
}

/** `pod` with its hash in an annotation. */
export function withSpecHash(pod: V1Pod): V1Pod {
  const annotations = { ...pod.metadata?.annotations, [specHashAnnotation]: specHash(pod) }
  return { ...pod, metadata: { ...pod.metadata, annotations } }
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  )
}
