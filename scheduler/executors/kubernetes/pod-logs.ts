// What stands in an attempt's log beside what its own program sends: our words about the pod, and what the container
// wrote and could not send, because it was killed. The program prints each byte of the log that it sends, in the same
// order, so the output that the node kept goes on where the log ends. Nodes keep only so much of it
// (containerLogMaxSize, 10 MiB by default): a longer log is put together by its last line that both have.
import { appendFile, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { isNotFound } from '../../../k8s/kubernetes-error.ts'
import { baseContainer } from '../../../k8s/pod/pod-names.ts'
import { KubernetesError } from '../../../runtime/errors.ts'
import { attemptLogPath, type LogLevel, type LogLine } from '../../../runtime/log-line.ts'
import { appendAttemptLog } from '../../database/append-attempt-log.ts'
import type { Database } from '../../database/connection.ts'
import type { ActivePod } from './active-pod.ts'

/** Where the words of an attempt go that its own program does not say. */
export interface PodLogs {
  /** Adds a line of ours. */
  say(pod: Pick<ActivePod, 'key' | 'place'>, level: LogLevel, message: string): Promise<void>
  /** Adds lines that are not the pod's own. */
  add(pod: Pick<ActivePod, 'key' | 'place'>, lines: readonly LogLine[]): Promise<void>
  /**
   * Adds what the container wrote and could not send; says so where something is missing. May be repeated.
   * @throws DatabaseUnavailableError; KubernetesError where the API server or the node does not answer now
   */
  fetchRest(pod: ActivePod): Promise<void>
}

/** Below this a node has all of the output. */
const certainlyKeptBytes = 8 * 1024 * 1024
/** Of the kept log, for the last line that the node has too. */
const tailBytes = 64 * 1024

export function createPodLogs(deps: { db: Database; client: KubernetesClient; logsDir: string }): PodLogs {
  const { db, client, logsDir } = deps

  const say: PodLogs['say'] = (pod, level, message) =>
    add(pod, [{ ts: new Date().toISOString(), level, stream: 'branchline', msg: message }])

  const add: PodLogs['add'] = async ({ key, place }, lines) => {
    const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    const kept = await appendAttemptLog(db, { key, logsDir, bytes, offset: null })
    if (kept !== undefined) return
    // It never had a pod, so nobody else writes.
    const path = attemptLogPath(logsDir, place)
    await mkdir(dirname(path), { recursive: true })
    await appendFile(path, bytes)
  }

  async function fetchRest(pod: ActivePod): Promise<void> {
    const { key, namespace, podName } = pod
    const append = (offset: number, bytes: Buffer) => appendAttemptLog(db, { key, logsDir, bytes, offset })
    // Tells how much is kept by now.
    const kept = (await append(0, Buffer.alloc(0))) ?? 0
    try {
      const output = client.podLog(namespace, podName, { container: baseContainer })
      if (kept < certainlyKeptBytes) {
        let offset = 0
        for await (const bytes of output) {
          await append(offset, bytes)
          offset += bytes.length
        }
        return
      }
      const chunks: Buffer[] = []
      for await (const bytes of output) chunks.push(bytes)
      const rest = await restOf(Buffer.concat(chunks), attemptLogPath(logsDir, pod.place))
      if (!rest.isNext) await say(pod, 'warn', 'lines may be missing here: the node had dropped them already')
      await append(kept, rest.bytes)
    } catch (error) {
      if (!isLost(error)) throw error
      await say(pod, 'warn', `the last lines of the container may be missing: ${(error as Error).message}`)
    }
  }

  return { say, add, fetchRest }
}

/** The pod, its container or its node are gone, and the output with them. */
function isLost(error: unknown): boolean {
  return isNotFound(error) || (error instanceof KubernetesError && error.status === 400)
}

/** What comes after the last line of the file at `path` that `output` has; all of it where it has none. */
async function restOf(output: Buffer, path: string): Promise<{ bytes: Buffer; isNext: boolean }> {
  for (const line of (await lastLines(path)).reverse()) {
    const at = output.lastIndexOf(line)
    if (at >= 0) return { bytes: output.subarray(at + line.length), isNext: true }
  }
  return { bytes: output, isNext: false }
}

/** Whole lines with their line breaks. */
async function lastLines(path: string): Promise<Buffer[]> {
  await using file = await open(path, 'r')
  const { size } = await file.stat()
  const tail = Buffer.alloc(Math.min(size, tailBytes))
  await file.read(tail, 0, tail.length, size - tail.length)
  const lines: Buffer[] = []
  for (let from = 0, end = tail.indexOf(10); end >= 0; from = end + 1, end = tail.indexOf(10, from)) {
    lines.push(tail.subarray(from, end + 1))
  }
  return lines.length > 1 ? lines.slice(1) : lines
}
