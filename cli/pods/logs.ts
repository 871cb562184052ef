// `branchline pods logs`: the log of an attempt that is kept, or, of any container of its pod, what the cluster still
// has.
import { type Command, Option } from 'commander'
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { ConflictError, InvalidInputError, NotFoundError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import type { Pod } from '../../web/server/schemas/pod.ts'
import { connectApi } from '../api/connect.ts'
import { resolveRunId } from '../api/runs.ts'
import { getTaskInstance, podOf } from '../api/task-instances.ts'
import { callText } from '../call-text.ts'
import { type ApiCommandOptions, apiCommand, tryNumber } from '../command.ts'
import { ExitCode } from '../exit-codes.ts'
import { printLogs } from '../tasks/print-logs.ts'
import type { Terminal } from '../terminal.ts'
import { type ClusterOptions, openCluster, withClusterOptions, withRule } from './cluster.ts'

interface Options extends ApiCommandOptions, ClusterOptions {
  run?: string
  try?: number
  container?: string
  follow?: boolean
}

/** How long a container that is followed may say nothing: it is quiet for as long as its program is. */
const followIdleMs = 24 * 60 * 60 * 1_000

export function podsLogsCommand(terminal: Terminal): Command {
  return withClusterOptions(apiCommand('logs', 'Print the log of an attempt, or of one container of its pod'))
    .argument('<dag_id>')
    .argument('<task_id>')
    .option('--run <run_id>', 'default: the newest run')
    .option('--try <number>', 'the attempt with this number (default: the newest)', tryNumber)
    .addOption(
      new Option(
        '-c, --container <name>',
        "what this container wrote, as the cluster has it, by the caller's kubeconfig (default: the attempt's log, as it is kept)",
      ).conflicts('json'),
    )
    .option('-f, --follow', 'wait for what is still to come')
    .action(async (dagId: string, taskId: string, options: Options) => {
      if (options.container === undefined && (options.kubeconfig ?? options.context) !== undefined) {
        throw new InvalidInputError(
          "the log that is kept comes from the API: --kubeconfig and --context say where a --container's comes from",
        )
      }
      const api = connectApi(options)
      const place = { dagId, taskId, runId: await resolveRunId(api, dagId, options.run) }
      const follows = options.follow === true
      if (options.container === undefined) {
        const json = options.json === true
        return await printLogs(terminal, { api, place, tryNumber: options.try, follows, json })
      }
      const pod = podOf(await getTaskInstance(api, place), options.try)
      const client = await openCluster(options)
      try {
        await printContainerLog(terminal, { client, pod, container: options.container, follows })
      } finally {
        client.close()
      }
    })
}

async function printContainerLog(
  terminal: Terminal,
  input: { client: KubernetesClient; pod: Pod; container: string; follows: boolean },
): Promise<void> {
  const { client, pod, container, follows } = input
  const { namespace, pod_name: name } = pod
  const signal = terminal.interruption()
  try {
    await checkContainer(client, pod, container)
    const pieces = client.podLog(namespace, name, {
      container,
      follow: follows,
      signal,
      ...(follows ? { idleMs: followIdleMs } : {}),
    })
    for await (const piece of pieces) {
      if (!terminal.stdout.write(piece))
        await new Promise((resolve) => terminal.stdout.once('drain', resolve))
    }
  } catch (error) {
    if (!signal.aborted) {
      throw withRule(error, namespace, { resources: ['pods', 'pods/log'], verbs: ['get'] })
    }
  }
  if (signal.aborted) terminal.exitCode = ExitCode.interrupted
}

/** @throws ConflictError where the pod is gone; NotFoundError where it has no such container, with the nearest */
async function checkContainer(client: KubernetesClient, pod: Pod, container: string): Promise<void> {
  const { namespace, pod_name, dag_id, run_id, task_id } = pod
  const found = await client.readPod(namespace, pod_name)
  const details = { namespace, pod_name, container }
  if (found === undefined) {
    throw new ConflictError(
      `pod ${namespace}/${pod_name} is gone, and with it the logs of its containers. The attempt's own is kept: ${callText(`tasks logs ${dag_id} ${run_id} ${task_id}`)}`,
      { details },
    )
  }
  const names = [...(found.spec?.initContainers ?? []), ...(found.spec?.containers ?? [])].map(
    (one) => one.name,
  )
  if (names.includes(container)) return
  throw new NotFoundError(
    `pod ${namespace}/${pod_name} has no container '${container}'.${didYouMean(container, names)} It has: ${names.join(', ')}`,
    { details },
  )
}
