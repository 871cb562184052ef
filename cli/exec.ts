// `branchline exec`: a command in the pod of a running attempt, as `kubectl exec` runs it. The API says which pod that
// is; the rest is between the caller and the cluster, with the caller's own rights: neither scheduler nor server may
// execute anything in a pod.
import { Command } from 'commander'
import type { KubernetesClient } from '../k8s/client/kubernetes-client.ts'
import { isForbidden } from '../k8s/kubernetes-error.ts'
import { observePod } from '../k8s/pod-observation.ts'
import { podWords, wordsText } from '../k8s/pod-words.ts'
import { ConflictError, InvalidInputError, NotFoundError } from '../runtime/errors.ts'
import { didYouMean } from '../runtime/nearest.ts'
import type { Pod } from '../web/server/schemas/pod.ts'
import { type ApiOptions, connectApi } from './api/connect.ts'
import { resolveRunId } from './api/runs.ts'
import { getTaskInstance, podOf } from './api/task-instances.ts'
import { callText } from './call-text.ts'
import { tryNumber, withApiOptions } from './command.ts'
import { ExitCode } from './exit-codes.ts'
import { type ClusterOptions, openCluster, withClusterOptions, withRule } from './pods/cluster.ts'
import { takeTerminal, terminalSizes } from './raw-terminal.ts'
import type { Terminal } from './terminal.ts'

interface Options extends ApiOptions, ClusterOptions {
  run?: string
  try?: number
  container?: string
  stdin?: boolean
  tty?: boolean
}

/** Of a command that SIGKILL ended. */
const killedExitCode = 137

export function execCommand(terminal: Terminal): Command {
  return withClusterOptions(withApiOptions(new Command('exec')))
    .description("Run a command in the pod of a task that is running, by the caller's kubeconfig")
    .argument('<dag_id>')
    .argument('<task_id>')
    .argument('<command...>', "behind '--', as in: exec DAG TASK -- bash")
    .option('--run <run_id>', 'default: the newest run')
    .option('--try <number>', 'the attempt with this number (default: the newest)', tryNumber)
    .option('-c, --container <name>', 'default: the one that runs the task')
    .option('-i, --stdin', 'hand on standard input (default: where it is a terminal)')
    .option('-t, --tty', 'a terminal for the command (default: where input and output are one)')
    .option('--no-tty', 'no terminal, also where one is there')
    .addHelpText('after', "\nEnds with the command's own exit code.")
    .action(async (dagId: string, taskId: string, command: string[], options: Options) => {
      const hasTty = wantsTty(terminal, options.tty)
      const api = connectApi(options)
      const runId = await resolveRunId(api, dagId, options.run)
      const pod = podOf(await getTaskInstance(api, { dagId, runId, taskId }), options.try)
      const client = await openCluster(options)
      try {
        const container = await runningContainer(client, pod, options.container)
        terminal.note(terminal.style('dim', whereText(pod, container)))
        const hasStdin = options.stdin === true || hasTty
        terminal.exitCode = await run(terminal, { client, pod, container, command, hasStdin, hasTty })
        // The shell of a person says nothing of its own end then.
        if (terminal.exitCode === killedExitCode) {
          const see = callText(`tasks show ${dagId} ${runId} ${taskId}`)
          terminal.note(`the command was killed, as it is when its container ends: see ${see}`)
        }
      } finally {
        client.close()
      }
    })
}

/** @throws InvalidInputError where a terminal is asked for and there is none */
function wantsTty({ stdin, stdout }: Terminal, asked: boolean | undefined): boolean {
  if (asked === true && !stdin.isTTY) {
    throw new InvalidInputError(
      '--tty needs a terminal at standard input: leave it out, and add -i for a pipe',
    )
  }
  return asked ?? (stdin.isTTY === true && stdout.isTTY === true)
}

function whereText({ namespace, pod_name, run_id, task_id, try_number }: Pod, container: string): string {
  return `run ${run_id}, ${task_id} try ${try_number}: container ${container} of pod ${namespace}/${pod_name}`
}

/**
 * The container that is meant. What the API knows may be a moment old: where that says that it does not run, the
 * cluster is asked.
 * @throws ConflictError where it does not run, with the pod's words; NotFoundError where there is none of that name
 */
async function runningContainer(
  client: KubernetesClient,
  pod: Pod,
  named: string | undefined,
): Promise<string> {
  const known = [...pod.init_containers, ...pod.containers]
  const isRunning = (container: string | undefined, all: typeof known) =>
    all.some(({ name, state }) => name === container && state === 'running')
  const first = pod.containers[0]?.name
  const container = named ?? first
  if (container !== undefined && !pod.is_gone && isRunning(container, known)) return container
  const { namespace, pod_name } = pod
  const details = { namespace, pod_name, container: container ?? null }
  const now = pod.is_gone ? undefined : await lookAt(client, pod)
  const names = now?.names ?? known.map(({ name }) => name)
  if (named !== undefined && names.length > 0 && !names.includes(named)) {
    throw new NotFoundError(
      `pod ${namespace}/${pod_name} has no container '${named}'.${didYouMean(named, names)} It has: ${names.join(', ')}`,
      { details },
    )
  }
  const chosen = container ?? now?.first
  if (now !== undefined && chosen !== undefined && isRunning(chosen, now.containers)) return chosen
  throw new ConflictError(notRunning(pod, chosen, now?.words ?? wordsText(pod)), { details })
}

interface SeenNow {
  names: string[]
  /** The one that runs the task. */
  first: string | undefined
  containers: Pod['containers']
  words: string
}

/** Undefined where the cluster does not say: then what the API knows is all. */
async function lookAt(client: KubernetesClient, { namespace, pod_name }: Pod): Promise<SeenNow | undefined> {
  try {
    const found = await client.readPod(namespace, pod_name)
    if (found === undefined) return undefined
    const observation = observePod(found)
    const seen = { state: 'created', is_gone: false, waiting_reason: null, waiting_message: null } as const
    return {
      names: [...(found.spec?.initContainers ?? []), ...(found.spec?.containers ?? [])].map(
        ({ name }) => name,
      ),
      first: found.spec?.containers[0]?.name,
      containers: [...observation.init_containers, ...observation.containers],
      words: wordsText(podWords({ ...seen, observation })),
    }
  } catch (error) {
    if (isForbidden(error)) return undefined
    throw error
  }
}

function notRunning(pod: Pod, container: string | undefined, words: string): string {
  const { namespace, pod_name, dag_id, run_id, task_id, try_number } = pod
  const what = container === undefined ? 'its pod' : `container ${container}`
  return `attempt ${try_number} of task '${task_id}' of run '${run_id}' is not running: ${what} of ${namespace}/${pod_name}: ${words}. See ${callText(`tasks show ${dag_id} ${run_id} ${task_id}`)}`
}

/** @returns the command's exit code */
async function run(
  terminal: Terminal,
  input: {
    client: KubernetesClient
    pod: Pod
    container: string
    command: string[]
    hasStdin: boolean
    hasTty: boolean
  },
): Promise<number> {
  const { client, pod, container, command, hasStdin, hasTty } = input
  const { stdin, stdout, stderr } = terminal
  const { namespace, pod_name } = pod
  const signal = terminal.interruption()
  const over = new AbortController()
  using taken = new DisposableStack()
  try {
    return await client.exec(namespace, pod_name, {
      container,
      command,
      tty: hasTty,
      ...(hasStdin ? { stdin } : {}),
      stdout,
      ...(hasTty ? {} : { stderr }),
      ...(hasTty && stdout.isTTY ? { sizes: terminalSizes(stdout, over.signal) } : {}),
      // Not before: ctrl-C ends the wait for a server that does not answer.
      onOpen: () => {
        if (hasTty) taken.use(takeTerminal(stdin))
      },
      signal,
    })
  } catch (error) {
    if (signal.aborted) return ExitCode.interrupted
    throw withRule(error, namespace, { resources: ['pods/exec'], verbs: ['get', 'create'] })
  } finally {
    over.abort()
  }
}
