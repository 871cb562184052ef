// How many requests the API server has answered, by its own count.
import type { Cluster } from '../../test/support/cluster.ts'

/** Requests for pods since its start: `PATCH pods`, `PATCH pods/status` → count. */
export async function podRequests(cluster: Cluster): Promise<Map<string, number>> {
  const text = await cluster.kubectl(['get', '--raw', '/metrics'])
  const counts = new Map<string, number>()
  for (const line of text.split('\n')) {
    const found = /^apiserver_request_total\{([^}]*)\} (\S+)$/.exec(line)
    if (found === null) continue
    const labels = new Map(
      [...found[1]!.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
    )
    if (labels.get('resource') !== 'pods') continue
    const subresource = labels.get('subresource')
    const key = `${labels.get('verb')} pods${subresource ? `/${subresource}` : ''}`
    counts.set(key, (counts.get(key) ?? 0) + Number(found[2]))
  }
  return counts
}
