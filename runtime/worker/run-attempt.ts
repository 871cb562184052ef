// One attempt in its pod, from the first request to the last: the runner is started while the server is asked what it
// is to run; the log leaves as it grows; how it ended is told when all of the log has left, and again until the server
// has taken it. Nothing of this needs the server to be there all the time, but only once at the beginning and once at
// the end.
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { AttemptNotCurrentError, messageOf, UnauthenticatedError } from '../errors.ts'
import type { StartAnswer } from '../execution-api.ts'
import {
  type AttemptEnd,
  type AttemptRunner,
  failedBeforeStart,
  startAttemptRunner,
} from './attempt-runner.ts'
import { oomKillCount } from './container-memory.ts'
import { createExecutionClient, type ExecutionClient } from './execution-client.ts'
import { startHeartbeats } from './heartbeats.ts'
import { noteTrouble, writeNote } from './notes.ts'
import { reportEnd } from './report-end.ts'
import { type LogShipping, shipLog } from './ship-log.ts'
import { sourceDirectory } from './source-directory.ts'
import { makeSpool, type Spool } from './spool.ts'
import { WorkerExitCode } from './worker-exit-code.ts'
import type { WorkerSettings } from './worker-settings.ts'

/** After the end: how long a reader of standard output may keep the pod. The server has everything by then. */
const printGraceMs = 10_000

/**
 * @param deps.terminated fires when the pod is told to end
 * @param deps.env that a task sees
 * @returns the exit code, when nothing is left to do
 * @throws ConfigError where the spool cannot be written to
 */
export async function runAttempt(deps: {
  settings: WorkerSettings
  env: NodeJS.ProcessEnv
  terminated: AbortSignal
}): Promise<WorkerExitCode> {
  const { settings, env, terminated } = deps
  const startMs = Date.now()
  const spool = makeSpool(settings.spoolPath)
  const oomKillsBefore = oomKillCount()
  const runner = startAttemptRunner({
    directory: spool.runnerDirectory,
    env,
    whyEnded: () => outOfMemory(oomKillsBefore) ?? spool.fullDisk() ?? undefined,
  })
  // Everything that speaks to the server ends with it: the attempt is given up, or never began.
  const over = new AbortController()
  let isLogWhole = false
  const client = createExecutionClient({
    url: settings.executionApiUrl,
    tokenFile: settings.tokenFile,
    signal: over.signal,
    onTrouble: (why) => {
      if (!isLogWhole) noteTrouble(spool, why)
    },
  })
  const giveUp = () => over.abort(terminatedUnbegun)
  terminated.addEventListener('abort', giveUp, { once: true })
  if (terminated.aborted) giveUp()
  const starting = client.start({ start_ms: startMs, hostname: hostname(), pid: process.pid })
  // Asked for at once: it does not take another turn then.
  const code = client.bundle()
  code.catch(() => {})
  const serverHas = starting.then(({ log_bytes }) => log_bytes)
  const shipping = shipLog({ path: spool.logPath, output: process.stdout, serverHas, send: client.logs })
  const sealLog = () => {
    isLogWhole = true
  }
  shipping.done.then(sealLog, sealLog)
  try {
    const answer = await starting
    terminated.removeEventListener('abort', giveUp)
    return await serve({ answer, code, settings, spool, runner, client, shipping, terminated })
  } catch (error) {
    over.abort(terminatedUnbegun)
    runner.kill()
    return await endWithout(error, shipping)
  } finally {
    over.abort(terminatedUnbegun)
    runner.kill()
    client.close()
  }
}

const terminatedUnbegun = new Error('the pod was told to end before anything ran')

/** Nothing is reported: there is nobody to report to, or nothing to report. @throws `error` where it is neither */
async function endWithout(error: unknown, shipping: LogShipping): Promise<WorkerExitCode> {
  shipping.end().catch(() => {})
  await Promise.race([shipping.printed, delay(printGraceMs, undefined, { ref: false })])
  if (error === terminatedUnbegun) return WorkerExitCode.terminated
  const isNotCurrent = error instanceof AttemptNotCurrentError
  if (!isNotCurrent && !(error instanceof UnauthenticatedError)) throw error
  process.stderr.write(`branchline task: ${error.message}\n`)
  return isNotCurrent ? WorkerExitCode.notCurrent : WorkerExitCode.refused
}

/** What the server has accepted as begun. @throws AttemptNotCurrentError as soon as it is not the current one */
async function serve(deps: {
  answer: StartAnswer
  code: Promise<Buffer>
  settings: WorkerSettings
  spool: Spool
  runner: AttemptRunner
  client: ExecutionClient
  shipping: LogShipping
  terminated: AbortSignal
}): Promise<WorkerExitCode> {
  const { answer, runner, client, shipping, terminated } = deps
  const heartbeats = startHeartbeats({
    client,
    intervalMs: answer.heartbeat_interval_ms,
    onCancel: (reason) => runner.cancel(reason),
  })
  const onTerminated = async () => runner.cancel(await heartbeats.whyTerminated())
  terminated.addEventListener('abort', onTerminated, { once: true })
  if (terminated.aborted) onTerminated()
  try {
    // Whoever is told first that the attempt is not current any more ends it.
    const lost = Promise.race([heartbeats.lost, shipping.done.then(() => new Promise<never>(() => {}))])
    const end = await Promise.race([execute(deps), lost])
    await Promise.race([shipping.end(), lost])
    const { state } = await reportEnd(client, end)
    await Promise.race([shipping.printed, delay(printGraceMs, undefined, { ref: false })])
    return state === 'failed' ? WorkerExitCode.failed : WorkerExitCode.ok
  } finally {
    heartbeats.stop()
    terminated.removeEventListener('abort', onTerminated)
  }
}

/** Does not throw for anything that is the attempt's own: then it failed. */
async function execute(deps: {
  answer: StartAnswer
  code: Promise<Buffer>
  settings: WorkerSettings
  spool: Spool
  runner: AttemptRunner
}): Promise<AttemptEnd> {
  const { answer, settings, spool, runner } = deps
  const { order } = answer
  const fail = (name: string, message: string): AttemptEnd => {
    writeNote(spool, 'error', `${name}: ${message}`)
    return failedBeforeStart(name, message)
  }
  let sourcePath: string
  try {
    sourcePath = sourceDirectory(settings.dagsPath, order.commit_sha)
  } catch (error) {
    return fail('SourceError', messageOf(error))
  }
  const code = await deps.code
  const hash = createHash('sha256').update(code).digest('hex')
  if (hash !== order.bundle_hash) {
    return fail(
      'BundleError',
      `the server sent a bundle with the hash ${hash} where ${order.bundle_hash} was due`,
    )
  }
  const bundlePath = spool.bundlePath(hash)
  try {
    writeFileSync(bundlePath, code)
  } catch (error) {
    return fail('SpoolError', spool.fullDisk() ?? `the bundle cannot be kept: ${messageOf(error)}`)
  }
  return await runner.run(
    { ...order, token: '', bundle_path: bundlePath, source_path: sourcePath, log_path: spool.logPath },
    { xcomMaxBytes: answer.xcom_max_bytes, killGraceMs: answer.kill_grace_ms },
  )
}

function outOfMemory(killsBefore: number | null): string | undefined {
  const kills = oomKillCount()
  if (kills === null || killsBefore === null || kills <= killsBefore) return undefined
  return 'the container ran out of memory, and the kernel killed it (OOMKilled): give it a higher memory limit'
}
