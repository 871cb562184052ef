// What stands in an attempt's log beside what its own program sends: our words about the pod, and what the container
// wrote and could not send, because it was killed. The program prints each byte of the log that it sends, in the same
// order, so the output that the node kept goes on where the log ends. Nodes keep only so much of it
// (containerLogMaxSize, 10 MiB by default): a longer log is put together by its last line that both have.
import { appendFile, type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import pLimit from 'p-limit'
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { pushBackOf } from '../../../k8s/kubernetes-error.ts'
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
  /**
   * Adds lines that are not the pod's own.
   * @param options.isEnd they are what is said of the attempt's end, and are added once, whoever does it
   */
  add(
    pod: Pick<ActivePod, 'key' | 'place'>,
    lines: readonly LogLine[],
    options?: { isEnd: boolean },
  ): Promise<void>
  /**
   * Adds what the container wrote and could not send; says so where something is missing. May be repeated.
   * @throws DatabaseUnavailableError; KubernetesError where the API server or the node does not answer now
   */
  fetchRest(pod: ActivePod): Promise<void>
}

/** Each is a transaction that may wait, or a whole log in memory; more would leave no connections to the others. */
const keptAtOnce = 8
/** Output that is this long may be the end of a longer one: with the runtime's words a file of 10 MiB has less in it. */
const maybeRotatedBytes = 4 * 1024 * 1024
/** Of the kept log, at its begin and its end, for a line that the node has too. */
const edgeBytes = 64 * 1024
/** Lines that are looked for together. */
const alikeLines = 20
const newline = 0x0a

export function createPodLogs(deps: { db: Database; client: KubernetesClient; logsDir: string }): PodLogs {
  const { db, client, logsDir } = deps
  const limit = pLimit(keptAtOnce)

  const say: PodLogs['say'] = (pod, level, message) => add(pod, [ownLine(level, message)])

  const add: PodLogs['add'] = (pod, lines, options) => limit(() => addNow(pod, lines, options))

  async function addNow(
    { key, place }: Pick<ActivePod, 'key' | 'place'>,
    lines: readonly LogLine[],
    { isEnd } = { isEnd: false },
  ): Promise<void> {
    const bytes = lineBytes(lines)
    const kept = await appendAttemptLog(db, { key, logsDir, bytes, offset: null, isEnd })
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
      const path = attemptLogPath(logsDir, pod.place)
      const chunks: Buffer[] = []
      for await (const bytes of client.podLog(namespace, podName, { container: baseContainer }))
        chunks.push(bytes)
      const output = Buffer.concat(chunks)
      const isWhole = kept === 0 ? output.length < maybeRotatedBytes : await beginsAlike(output, path)
      if (isWhole) {
        await append(0, output)
        return
      }
      const rest = kept === 0 ? null : await restOf(output, path)
      if (rest === null) {
        await warn(pod, 'lines may be missing here: the node had dropped them already')
      }
      await append(kept, rest ?? output)
    } catch (error) {
      if (!isLost(error)) throw error
      await warn(pod, `the last lines of the container may be missing: ${(error as Error).message}`)
    }
  }

  const warn = (pod: ActivePod, message: string) => addNow(pod, [ownLine('warn', message)])

  return { say, add, fetchRest: (pod) => limit(() => fetchRest(pod)) }
}

/** As they stand in a log file. */
export function lineBytes(lines: readonly LogLine[]): Buffer {
  return Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
}

/** A line of ours, of now. */
export function ownLine(level: LogLevel, msg: string): LogLine {
  return { ts: new Date().toISOString(), level, stream: 'branchline', msg }
}

/** The pod, its container or its node are gone, and the output with them; or nobody gives us the right to read it. */
function isLost(error: unknown): boolean {
  return error instanceof KubernetesError && pushBackOf(error) === null
}

/** Whether the node still has the first line of what is kept: then it has everything. */
async function beginsAlike(output: Buffer, path: string): Promise<boolean> {
  const firstLine = output.subarray(0, output.indexOf(newline) + 1)
  await using file = await openKept(path)
  if (file === undefined) return false
  const head = Buffer.alloc(edgeBytes)
  const { bytesRead } = await file.read(head, 0, edgeBytes, 0)
  return firstLine.length > 0 && head.subarray(0, bytesRead).includes(firstLine)
}

/**
 * What comes in `output` after the last of the kept lines; null where it has none of them. Lines may be alike, so the
 * last ones are looked for together, and alone only where others stand between them.
 */
async function restOf(output: Buffer, path: string): Promise<Buffer | null> {
  const lines = await lastLines(path)
  for (let end = lines.length; end > 0; end -= 1) {
    for (const begin of [Math.max(0, end - alikeLines), end - 1]) {
      const known = Buffer.concat(lines.slice(begin, end))
      const at = output.lastIndexOf(known)
      if (at >= 0) return output.subarray(at + known.length)
    }
  }
  return null
}

/** undefined where somebody has removed it. */
async function openKept(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Whole lines with their line breaks. */
async function lastLines(path: string): Promise<Buffer[]> {
  await using file = await openKept(path)
  if (file === undefined) return []
  const { size } = await file.stat()
  const tail = Buffer.alloc(Math.min(size, edgeBytes))
  await file.read(tail, 0, tail.length, size - tail.length)
  const lines: Buffer[] = []
  for (
    let from = 0, end = tail.indexOf(newline);
    end >= 0;
    from = end + 1, end = tail.indexOf(newline, from)
  ) {
    lines.push(tail.subarray(from, end + 1))
  }
  return lines.length > 1 ? lines.slice(1) : lines
}
