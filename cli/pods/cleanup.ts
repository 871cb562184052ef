// `branchline pods cleanup`: deletes this deployment's pods that nobody needs any more. The cluster is listed first and
// the API asked then: a pod stands in the ledger before it is created, so every pod that was listed and is still
// needed is among those that the API names.
import { type Command, InvalidArgumentError } from 'commander'
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { labelPrefix } from '../../k8s/pod/pod-names.ts'
import { DatabaseUnavailableError } from '../../runtime/errors.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { Health } from '../../web/server/schemas/monitoring.ts'
import type { Pod, PodCollection } from '../../web/server/schemas/pod.ts'
import { type Api, path } from '../api/client.ts'
import { connectApi } from '../api/connect.ts'
import { readAllPages } from '../api/pages.ts'
import { type ApiCommandOptions, apiCommand } from '../command.ts'
import type { Style } from '../output/style.ts'
import { relativeTime } from '../output/time.ts'
import type { Terminal } from '../terminal.ts'
import { type ClusterOptions, openCluster, withClusterOptions, withRule } from './cluster.ts'
import { type CleanupLimits, type CleanupReason, cleanupReason } from './judge-cleanup.ts'

interface Options extends ApiCommandOptions, ClusterOptions {
  namespace?: string
  minPendingMinutes: number
  minCompletedMinutes: number
  dryRun?: boolean
}

/** What became of one pod. */
interface CleanedPod {
  namespace: string
  pod_name: string
  action: 'deleted' | 'gone already' | 'would be deleted' | 'left'
  reason: string
  since: string
}

/** Below that, pods would be taken that only wait for a node to be started. */
const leastPendingMinutes = 5

export function podsCleanupCommand(terminal: Terminal): Command {
  return withClusterOptions(
    apiCommand('cleanup', 'Delete pods of this deployment that have ended, or never began'),
  )
    .option('-n, --namespace <name>', "where to look (default: the kubeconfig's)")
    .option(
      '--min-pending-minutes <minutes>',
      `leave pods that wait for less, ${leastPendingMinutes} at least`,
      minutes(leastPendingMinutes),
      30,
    )
    .option('--min-completed-minutes <minutes>', 'leave pods that ended later', minutes(0), 1)
    .option('--dry-run', 'only say what would be deleted')
    .addHelpText(
      'after',
      '\nA pod whose attempt has not ended, as far as the API knows, is never deleted: cancel its run to end it.',
    )
    .action(async (options: Options) => {
      const api = connectApi(options)
      const client = await openCluster(options)
      try {
        const namespace = options.namespace ?? client.namespace
        const cleaned: CleanedPod[] = []
        for await (const pod of cleanUp({ api, client, namespace, options })) {
          cleaned.push(pod)
          if (!options.json) terminal.print(cleanedText(pod, terminal.style))
        }
        if (options.json) terminal.printJson({ namespace, pods: cleaned })
        else if (cleaned.length === 0) terminal.note(`nothing to clean up in namespace ${namespace}`)
      } finally {
        client.close()
      }
    })
}

/** Each as it is done, so that what a later refusal leaves behind is told. */
async function* cleanUp(input: {
  api: Api
  client: KubernetesClient
  namespace: string
  options: Options
}): AsyncGenerator<CleanedPod, void, void> {
  const { api, client, namespace, options } = input
  const limits: CleanupLimits = {
    minPendingMs: options.minPendingMinutes * 60_000,
    minCompletedMs: options.minCompletedMinutes * 60_000,
  }
  const pods = await listOurs(client, namespace, await deploymentId(api))
  const needed = await neededPods(api, namespace)
  for (const pod of pods) {
    const reason = cleanupReason(pod, limits, Date.now())
    if (reason === null) continue
    const name = pod.metadata!.name!
    const attempt = needed.get(name)
    const told = { namespace, pod_name: name, since: new Date(reason.since).toISOString() }
    if (attempt !== undefined) {
      yield { ...told, action: 'left', reason: `${neededBy(attempt)}; ${reason.words}` }
    } else {
      const action = options.dryRun ? 'would be deleted' : await deletePod(client, namespace, pod)
      yield { ...told, action, reason: reasonText(reason) }
    }
  }
}

async function deploymentId(api: Api): Promise<string> {
  const { deployment_id, metadatabase } = await api.get<Health>(path`/monitor/health`)
  if (deployment_id !== null) return deployment_id
  throw new DatabaseUnavailableError(
    `the server cannot say which pods are its own: ${metadatabase.message ?? 'its database does not answer'}`,
  )
}

async function listOurs(client: KubernetesClient, namespace: string, id: string): Promise<V1Pod[]> {
  try {
    return (await client.listPods(namespace, { labelSelector: `${labelPrefix}deployment_id=${id}` })).pods
  } catch (error) {
    throw withRule(error, namespace, { resources: ['pods'], verbs: ['list', 'delete'] })
  }
}

/** Those whose attempts have not ended, by name. */
async function neededPods(api: Api, namespace: string): Promise<Map<string, Pod>> {
  const state = ['planned', 'created']
  const { pods } = await readAllPages<PodCollection, Pod>('pods', (page) =>
    api.get(path`/pods`, { ...page, namespace, state }),
  )
  return new Map(pods.map((pod) => [pod.pod_name, pod]))
}

async function deletePod(
  client: KubernetesClient,
  namespace: string,
  { metadata }: V1Pod,
): Promise<'deleted' | 'gone already'> {
  try {
    const isThere = await client.deletePod(namespace, metadata!.name!, { uid: metadata!.uid! })
    return isThere ? 'deleted' : 'gone already'
  } catch (error) {
    throw withRule(error, namespace, { resources: ['pods'], verbs: ['list', 'delete'] })
  }
}

function reasonText({ kind, words }: CleanupReason): string {
  return kind === 'ended' ? words : `it never began: ${words}`
}

function neededBy({ dag_id, run_id, task_id, try_number }: Pod): string {
  return `attempt ${try_number} of ${task_id} in ${dag_id} ${run_id} has not ended`
}

function cleanedText({ namespace, pod_name, action, since, reason }: CleanedPod, style: Style): string {
  const done = style(action === 'left' ? 'yellow' : 'dim', action)
  return `${done}  ${namespace}/${pod_name}  ${relativeTime(since, Date.now())}  ${reason}`
}

/** A number of minutes, as a parser for commander. */
function minutes(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+(\.\d+)?$/.test(text) && value >= least) return value
    throw new InvalidArgumentError(`Write a number of minutes from ${least}.`)
  }
}
