// What is asked about pods: the calls of the launch path (create, delete, watch) and the log.
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import { isNotFound } from '../kubernetes-error.ts'
import { deleteCall } from './delete-call.ts'
import type {
  KubernetesClient,
  ListOptions,
  PodLogOptions,
  WatchEvent,
  WatchOptions,
} from './kubernetes-client.ts'
import { lines } from './lines.ts'
import type { Transport } from './transport.ts'

/** Pods of one page of a list: about 2 MB. */
const defaultPageSize = 500

/** A log is quiet for as long as its program is, so that this only bounds how long a lost connection goes unnoticed. */
const defaultLogIdleMs = 300_000

type PodCalls = Pick<
  KubernetesClient,
  'createPod' | 'readPod' | 'deletePod' | 'listPodPages' | 'listPods' | 'watchPods' | 'podLog'
>

interface PodList {
  metadata: { resourceVersion: string; continue?: string }
  items: V1Pod[] | null
}

export function createPodCalls({ transport }: { transport: Transport }): PodCalls {
  async function* listPodPages(namespace: string, options: ListOptions = {}) {
    const { labelSelector, fieldSelector, pageSize = defaultPageSize, resourceVersion, signal } = options
    let next: string | undefined
    do {
      const query = queryOf({
        labelSelector,
        fieldSelector,
        limit: pageSize,
        // A continue token has the state of the first page in it.
        ...(next === undefined ? { resourceVersion } : { continue: next }),
      })
      const path = `${podsOf(namespace)}${query}`
      const call = `list pods of ${namespace}`
      const { metadata, items } = JSON.parse(
        await transport.call({ call, method: 'GET', path, signal }),
      ) as PodList
      next = metadata.continue
      yield { resourceVersion: metadata.resourceVersion, pods: items ?? [] }
    } while (next !== undefined && next !== '')
  }

  return {
    listPodPages,
    async createPod(namespace, pod, { dryRun = false, signal } = {}) {
      const answer = await transport.call({
        call: `create pod ${namespace}/${pod.metadata?.name ?? pod.metadata?.generateName ?? ''}`,
        method: 'POST',
        // A field that the server does not know is refused, and not left out with a warning that nobody reads.
        path: `${podsOf(namespace)}?fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`,
        body: JSON.stringify(pod.kind === undefined ? { apiVersion: 'v1', kind: 'Pod', ...pod } : pod),
        signal,
      })
      return JSON.parse(answer) as V1Pod
    },
    async readPod(namespace, name, { signal } = {}) {
      try {
        const call = `read pod ${namespace}/${name}`
        return JSON.parse(
          await transport.call({ call, method: 'GET', path: podOf(namespace, name), signal }),
        ) as V1Pod
      } catch (error) {
        if (isNotFound(error)) return undefined
        throw error
      }
    },
    async deletePod(namespace, name, options) {
      return await deleteCall(
        transport,
        { call: `delete pod ${namespace}/${name}`, path: podOf(namespace, name) },
        options,
      )
    },
    async listPods(namespace, options) {
      const pods: V1Pod[] = []
      let resourceVersion = ''
      for await (const page of listPodPages(namespace, options)) {
        pods.push(...page.pods)
        resourceVersion = page.resourceVersion
      }
      return { resourceVersion, pods }
    },
    async watchPods(
      namespace,
      { labelSelector, resourceVersion, timeoutSeconds, idleMs, signal }: WatchOptions,
    ) {
      const query = queryOf({
        watch: true,
        allowWatchBookmarks: true,
        labelSelector,
        resourceVersion,
        timeoutSeconds,
      })
      const path = `${podsOf(namespace)}${query}`
      const call = `watch pods of ${namespace}`
      return watchEvents(await transport.stream({ call, method: 'GET', path, idleMs, signal }))
    },
    async *podLog(namespace, name, options: PodLogOptions) {
      const { container, signal, idleMs = defaultLogIdleMs, follow = false, timestamps = false } = options
      const query = queryOf({
        container,
        follow: follow || undefined,
        timestamps: timestamps || undefined,
        previous: options.previous === true || undefined,
        sinceTime: options.sinceTime,
        tailLines: options.tailLines,
        limitBytes: options.limitBytes,
      })
      yield* await transport.stream({
        call: `read log of container ${container} of pod ${namespace}/${name}`,
        method: 'GET',
        path: `${podOf(namespace, name)}/log${query}`,
        idleMs,
        signal,
      })
    },
  }
}

async function* watchEvents(pieces: AsyncIterable<Buffer>): AsyncGenerator<WatchEvent[], void, void> {
  for await (const group of lines(pieces)) yield group.map((line) => JSON.parse(line) as WatchEvent)
}

function podsOf(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`
}

function podOf(namespace: string, name: string): string {
  return `${podsOf(namespace)}/${encodeURIComponent(name)}`
}

/** `?a=b&c=d` of what is set, or ''. */
function queryOf(values: Record<string, string | number | boolean | undefined>): string {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(values)) if (value !== undefined) query.set(key, String(value))
  return query.size === 0 ? '' : `?${query}`
}
