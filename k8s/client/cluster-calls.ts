// What is asked about the cluster and about ourselves: version, rights, events, and the keys of its tokens.
import type { CoreV1Event } from '../../runtime/kubernetes-types.ts'
import type { CallOptions, KubernetesClient } from './kubernetes-client.ts'
import type { Transport } from './transport.ts'

type ClusterCalls = Pick<KubernetesClient, 'version' | 'listEvents' | 'canI' | 'keySet' | 'issuer'>

export function createClusterCalls({ transport }: { transport: Transport }): ClusterCalls {
  const get = async <T>(call: string, path: string, { signal }: CallOptions = {}): Promise<T> =>
    JSON.parse(await transport.call({ call, method: 'GET', path, signal })) as T

  return {
    async version(options) {
      return (await get<{ gitVersion: string }>('read the version', '/version', options)).gitVersion
    },
    async listEvents(namespace, about) {
      const selector =
        'involvedUid' in about
          ? `involvedObject.uid=${about.involvedUid}`
          : 'type' in about
            ? `involvedObject.kind=Pod,type=${about.type}`
            : `involvedObject.name=${about.involvedName}`
      const { items } = await get<{ items: CoreV1Event[] | null }>(
        `list events of ${namespace}`,
        `/api/v1/namespaces/${encodeURIComponent(namespace)}/events?fieldSelector=${encodeURIComponent(selector)}`,
        about,
      )
      return (items ?? []).toSorted((one, other) => timeOf(one) - timeOf(other))
    },
    async canI({ group = '', subresource, name, ...right }, { signal } = {}) {
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: {
          resourceAttributes: {
            ...right,
            group,
            ...(subresource === undefined ? {} : { subresource }),
            ...(name === undefined ? {} : { name }),
          },
        },
      }
      const answer = await transport.call({
        call: 'ask for our own rights',
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        body: JSON.stringify(review),
        signal,
      })
      const { status } = JSON.parse(answer) as { status?: { allowed?: boolean; reason?: string } }
      return { isAllowed: status?.allowed === true, reason: status?.reason ?? '' }
    },
    async keySet(options) {
      return await get('read the token keys', '/openid/v1/jwks', options)
    },
    async issuer(options) {
      return (
        await get<{ issuer: string }>('read the token issuer', '/.well-known/openid-configuration', options)
      ).issuer
    },
  }
}

/** Newer events have the time of their last occurrence in `lastTimestamp`, or only `eventTime`. */
function timeOf({ lastTimestamp, eventTime, metadata }: CoreV1Event): number {
  const time = lastTimestamp ?? eventTime ?? metadata.creationTimestamp
  return time === undefined || time === null ? 0 : new Date(time as unknown as string).getTime()
}
