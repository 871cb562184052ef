// The floor of the cases on a cluster: a loop that creates pods through the same client, sees by one watch how they go
// on, and deletes each that has ended. It keeps nothing, checks nothing, and forgets all of them when it is killed.
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'

const label = 'bench/bare-pods'

export interface BarePods {
  /** Until all had ended well. */
  succeededMs: number
  /** Until all were gone. */
  elapsedMs: number
  /** Processor time of the loop's process. */
  cpuMs: number
}

/**
 * Creates all of `pods`, and resolves when all have ended well and are gone.
 * @param input.pods with names of their own
 * @param input.isKept they are left, and it is over when all have ended
 * @throws Error where one fails
 */
export async function runBarePods(input: {
  client: KubernetesClient
  namespace: string
  pods: readonly V1Pod[]
  concurrency: number
  isKept?: boolean
  signal: AbortSignal
}): Promise<BarePods> {
  const { client, namespace, concurrency } = input
  const ending = new AbortController()
  const signal = AbortSignal.any([input.signal, ending.signal])
  let { resourceVersion } = await client.listPods(namespace, { labelSelector: label, signal })
  /** A server under load ends watches early: then the next goes on where it ended. */
  async function* events() {
    for (;;) {
      const asked = { labelSelector: label, resourceVersion, timeoutSeconds: 1_800, idleMs: 120_000, signal }
      for await (const group of await client.watchPods(namespace, asked)) {
        for (const event of group) {
          if (event.type === 'ERROR') throw new Error(`the watch failed: ${JSON.stringify(event.object)}`)
          resourceVersion = event.object.metadata!.resourceVersion!
          if (event.type !== 'BOOKMARK') yield event
        }
      }
    }
  }
  const began = performance.now()
  const cpu = process.cpuUsage()
  const creating = inParallel(input.pods, concurrency, async (pod) => {
    await client.createPod(namespace, labelled(pod), { signal })
  })
  const succeeded = new Set<string>()
  let succeededMs = 0
  const queue: string[] = []
  let underWay = 0
  const fault = Promise.withResolvers<never>()
  const deleteNext = (): void => {
    while (underWay < concurrency && queue.length > 0) {
      underWay += 1
      client.deletePod(namespace, queue.shift()!, { gracePeriodSeconds: 0, signal }).then(() => {
        underWay -= 1
        deleteNext()
      }, fault.reject)
    }
  }
  const watching = (async () => {
    let gone = 0
    for await (const { type, object } of events()) {
      const { metadata, status } = object
      const name = metadata?.name ?? ''
      if (type === 'DELETED') {
        gone += 1
        if (gone === input.pods.length) return
      } else if (status?.phase === 'Failed') throw new Error(`pod ${name} failed`)
      else if (status?.phase === 'Succeeded' && !succeeded.has(name)) {
        succeeded.add(name)
        if (succeeded.size === input.pods.length) succeededMs = performance.now() - began
        if (succeededMs > 0 && input.isKept) return
        queue.push(name)
        if (!input.isKept) deleteNext()
      }
    }
  })()
  try {
    await Promise.race([Promise.all([creating, watching]), fault.promise])
  } finally {
    ending.abort(new Error('the bare loop is over'))
    await Promise.allSettled([creating, watching])
  }
  const { user, system } = process.cpuUsage(cpu)
  return { succeededMs, elapsedMs: performance.now() - began, cpuMs: (user + system) / 1_000 }
}

function labelled(pod: V1Pod): V1Pod {
  return { ...pod, metadata: { ...pod.metadata, labels: { ...pod.metadata?.labels, [label]: 'true' } } }
}

/** @throws what `work` throws first */
async function inParallel<Item>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items.values()
  const worker = async () => {
    for (const item of rest) await work(item)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}
