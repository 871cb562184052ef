// What tests of pains share: Dags whose logs can be checked to the last line, an account of every pod that was ever
// made (by watching, as anybody could), and the question whether all went once and wholly.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, onTestFailed } from 'vitest'
import { programPath } from '../../../runtime/programs.ts'
import { eventually } from '../../support/eventually.ts'
import type { KubernetesDeployment } from '../../support/kubernetes-deployment.ts'

const run = promisify(execFile)

/** Options of `pod()`, as text of a Dag module: a command of this image, as a namespace of the level `restricted` takes it. */
export const restrictedShell = (image: string): string => `{
      image: '${image}', imagePullPolicy: 'Never', cmds: ['bash', '-c'],
      securityContext: { runAsNonRoot: true, runAsUser: 50000 },
      containerSecurityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    }`

/** Dag `lines`: its task `write` logs numbered lines and answers how many. */
export const linesDag = {
  'dags/lines.ts': `
    import { dag, task } from 'branchline'

    export default dag('lines', { params: { count: 10, pause_ms: 0 } }, () => {
      task('write', { retries: 0 }, async ({ log, params }) => {
        for (let n = 1; n <= params.count; n += 1) {
          log.info('line ' + n)
          if (params.pause_ms > 0) await new Promise((done) => setTimeout(done, params.pause_ms))
        }
        return params.count
      })
    })`,
}

/** For failures of the cluster: the next attempt comes at once. */
export const quickRetries = { BRANCHLINE_INFRASTRUCTURE_RETRY_DELAY: '100ms' }

export interface PodAccount extends AsyncDisposable {
  /** Uids of all pods that there ever were: `run_id/task_id/try_number` → uids. */
  made(): Map<string, Set<string>>
}

/** Writes down every pod of the namespace from now on, also one that is there for a moment. */
export async function accountOfPods(deployment: KubernetesDeployment): Promise<PodAccount> {
  const annotation = (key: string) => `{.metadata.annotations.branchline\\.dev/${key}}`
  const row = ['run_id', 'task_id', 'try_number'].map(annotation).join('{"/"}')
  let text = ''
  let child: ChildProcess | undefined
  let isOver = false
  const watching = (async () => {
    while (!isOver) {
      child = spawn(
        'kubectl',
        [
          `--namespace=${deployment.namespace.name}`,
          ...['get', 'pods', '--watch', `--output=jsonpath=${row}{" "}{.metadata.uid}{"\\n"}`],
        ],
        { stdio: ['ignore', 'pipe', 'ignore'] },
      )
      child.stdout!.on('data', (chunk) => {
        text += chunk
      })
      // It ends when the API server does; what is there is told again.
      await new Promise((done) => child!.once('exit', done))
      if (!isOver) await delay(100)
    }
  })()
  return {
    made() {
      const made = new Map<string, Set<string>>()
      for (const line of text.split('\n').slice(0, -1)) {
        const [attempt, uid] = line.split(' ') as [string, string]
        if (attempt.startsWith('/')) continue
        made.set(attempt, (made.get(attempt) ?? new Set()).add(uid))
      }
      return made
    },
    async [Symbol.asyncDispose]() {
      isOver = true
      child?.kill('SIGKILL')
      await watching
    },
  }
}

export async function podsGone(deployment: KubernetesDeployment, timeoutMs = 30_000): Promise<void> {
  await eventually('no pod is left', async () => (await deployment.pods()).length === 0, timeoutMs)
}

/** A run of Dag `lines` ended well with one attempt, in one pod, and its log is whole. */
export async function expectWroteOnce(
  deployment: KubernetesDeployment,
  account: PodAccount,
  runId: string,
  count: number,
): Promise<void> {
  await deployment.ended('lines', runId, 40_000)
  const attempts = await deployment.attempts('lines', runId)
  expect(attempts).toMatchObject([{ try_number: 1, state: 'success', error: null }])
  await podsGone(deployment)
  expect(account.made().get(`${runId}/write/1`)?.size).toBe(1)
  expect(taskLines(deployment, 'lines', runId, 'write')).toEqual(numberedLines(count))
}

/** What the task itself wrote. */
export function taskLines(
  deployment: KubernetesDeployment,
  dagId: string,
  runId: string,
  taskId: string,
  tryNumber = 1,
): string[] {
  return deployment
    .log(dagId, runId, taskId, tryNumber)
    .filter(({ stream }) => stream !== 'branchline')
    .map(({ msg }) => msg)
}

export function numberedLines(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `line ${n + 1}`)
}

/** Rows of the launch ledger of a run. */
export async function ledgerOf(
  { db }: KubernetesDeployment,
  runId: string,
): Promise<
  {
    task_id: string
    try_number: number
    state: string
    pod_name: string
    uid: string | null
    is_gone: boolean
    waiting_message: string | null
    started_at: Date | null
    has_finished: boolean
  }[]
> {
  const { rows } = await db.query<never>(
    `select p.task_id, p.try_number, p.state, p.pod_name, p.uid, p.is_gone, p.waiting_message, p.started_at,
       p.finish is not null as has_finished
     from pod p join dag_run r using (dag_run_id) where r.run_id = $1 order by p.task_id, p.try_number`,
    [runId],
  )
  return rows
}

/** What the command line prints, as a person would read it. */
export async function branchline(deployment: KubernetesDeployment, args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [programPath('branchline'), ...args], {
    env: deployment.env,
    maxBuffer: 64 * 1024 * 1024,
  })
  return stdout
}

/** The newest attempt of each task of a run that has ended: its error in one line, and its log in another. */
export async function endsOf(
  deployment: KubernetesDeployment,
  dagId: string,
  runId: string,
): Promise<Map<string, { state: string; tryNumber: number; error: string; log: string }>> {
  const attempts = await deployment.attempts(dagId, runId)
  return new Map(
    attempts.map(({ task_id, try_number, state, error }) => [
      task_id,
      {
        state,
        tryNumber: try_number,
        error: error === null ? '' : `${error.name}: ${error.message}`,
        log: deployment
          .log(dagId, runId, task_id, try_number)
          .map(({ msg }) => msg)
          .join('\n'),
      },
    ]),
  )
}

/** Where the test fails: how everything stood, on the console, and the files stay. */
export function explainFailure(deployment: KubernetesDeployment): void {
  onTestFailed(async () => {
    deployment.keepFiles()
    const { rows } = await deployment.db.query(
      `select r.run_id, a.task_id, a.try_number, a.state, left(a.error::text, 300) as error, p.state as pod,
         p.observation ->> 'phase' as phase, p.is_gone, p.finish is not null as has_finished, p.waiting_message,
         p.seen_revision = p.revision as is_seen, p.cancel_reason, p.observation -> 'unschedulable' as unschedulable
       from attempt a join dag_run r using (dag_run_id)
       left join pod p using (dag_run_id, task_id, map_index, try_number)
       order by r.queued_at, a.task_id, a.try_number`,
    )
    console.error(`kept in ${deployment.directory}`)
    for (const row of rows) console.error(JSON.stringify(row))
    console.error(JSON.stringify(await deployment.pods()))
  })
}
