// Reads manifests: has bundles imported by manifest readers, usually one, which stay for a few seconds
// after their last work. A process that ended or had to be killed may have been broken by a module that it
// imported before, so the module that it had in hand gets a fresh process, and is blamed only if that ends too.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Logger } from '../log.ts'
import { firstUserPlace, type Place, userStack } from './import-error.ts'
import { checkReading } from './manifest-check.ts'
import { type ReaderOutcome, type ReaderProcess, startReaderProcess } from './reader-process.ts'
import type { ModuleReading } from './reader-protocol.ts'

/** A module whose Dags are not known. */
export interface ReadFailure {
  message: string
  hint: string | null
  stack: string | null
  place: Place | null
  /** Trying again costs as much again: the module reached a limit or ended its process. */
  isCostly: boolean
}

export interface ManifestReaders {
  /** Starts a reader, if there is none, so that it is ready when the first bundle is. */
  warmUp(): void
  /**
   * Imports a bundle. May be called many times at once; calls wait for a reader.
   * @throws the signal's reason when it fires, and ProgramError where no reader can be started
   */
  read(request: ManifestRequest, signal: AbortSignal): Promise<ModuleReading | ReadFailure>
  /** Ends the readers; calls that wait or run fail as if their reader had died. */
  stop(): Promise<void>
}

export interface ManifestRequest {
  /** For messages. */
  file: string
  bundlePath: string
  sourcePath: string
}

interface ManifestReadersOptions {
  bundlesDir: string
  importTimeoutMs: number
  memoryMb: number
  log: Logger
}

/** A reader holds about 60 MB. Smaller: pushes in a row each pay its start of 0.1 s. */
const idleMs = 3_000
/** More than one is needed only where a module takes long: for the rest one keeps up with esbuild. */
const maxReaders = 4
/** How long a module waits for a busy reader before it gets another one. A start on a busy machine takes 0.5 s. */
const patienceMs = 1_000

export function createManifestReaders(options: ManifestReadersOptions): ManifestReaders {
  const { bundlesDir, importTimeoutMs, memoryMb, log } = options
  const compileCacheDir = join(bundlesDir, '.compile-cache')
  const idle: ReaderProcess[] = []
  const all = new Set<ReaderProcess>()
  const waiting: ((reader: ReaderProcess) => void)[] = []
  let idleTimer: NodeJS.Timeout | undefined
  /** No reader is started any more: calls that still wait end with one that is gone. */
  let isStopped = false
  /** Makes each import of the same bundle in the same process another one. */
  let imports = 0

  function start(): ReaderProcess {
    const reader = startReaderProcess({ directory: bundlesDir, compileCacheDir, importTimeoutMs, memoryMb })
    all.add(reader)
    return reader
  }

  async function end(readers: readonly ReaderProcess[]): Promise<void> {
    for (const reader of readers) all.delete(reader)
    await Promise.all(readers.map((reader) => reader.kill()))
  }

  function acquire(): Promise<ReaderProcess> | ReaderProcess {
    clearTimeout(idleTimer)
    for (let reader = idle.pop(); reader !== undefined; reader = idle.pop()) {
      if (!reader.isGone) return reader
      all.delete(reader)
    }
    if (all.size === 0) return start()
    return new Promise((give) => {
      waiting.push(give)
      setTimeout(() => {
        const place = waiting.indexOf(give)
        if (place === -1 || all.size >= maxReaders || isStopped) return
        waiting.splice(place, 1)
        give(start())
      }, patienceMs).unref()
    })
  }

  /** A reader that is gone is replaced if somebody waits for it. */
  function release(reader: ReaderProcess): void {
    if (reader.isGone) all.delete(reader)
    const next = waiting.shift()
    if (next !== undefined) next(reader.isGone && !isStopped ? start() : reader)
    else if (!reader.isGone) idle.push(reader)
    if (idle.length === all.size) scheduleEnd()
  }

  function scheduleEnd(): void {
    clearTimeout(idleTimer)
    idleTimer = setTimeout(() => void end(idle.splice(0)), idleMs).unref()
  }

  async function readIn(reader: ReaderProcess, request: ManifestRequest, signal: AbortSignal) {
    const kill = () => void reader.kill()
    signal.addEventListener('abort', kill)
    try {
      signal.throwIfAborted()
      const outcome = await reader.read({
        bundle_url: `${pathToFileURL(request.bundlePath).href}?${imports++}`,
        source_path: request.sourcePath,
      })
      signal.throwIfAborted()
      if (outcome.output !== '')
        log.debug({ file: request.file, output: outcome.output }, 'dag module printed')
      // What ended a process ends its whole group, and is over, before anything else is done.
      if (endsProcess(outcome)) await reader.kill()
      return outcome
    } catch (error) {
      // A reader that was killed before it was ready is no failure of its own.
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', kill)
    }
  }

  return {
    warmUp() {
      if (all.size > 0) return
      idle.push(start())
      scheduleEnd()
    },
    async read(request, signal) {
      let reader = await acquire()
      try {
        const isSuspect = reader.isUsed
        let outcome = await readIn(reader, request, signal)
        if (endsProcess(outcome) && isSuspect && !isStopped) {
          all.delete(reader)
          reader = start()
          outcome = await readIn(reader, request, signal)
        }
        return resultOf(outcome)
      } finally {
        release(reader)
      }
    },
    async stop() {
      isStopped = true
      clearTimeout(idleTimer)
      idle.length = 0
      await end([...all])
    },
  }

  function resultOf(outcome: ReaderOutcome): ModuleReading | ReadFailure {
    if (outcome.type === 'read') {
      const problem = checkReading(outcome.reading)
      return problem === null
        ? outcome.reading
        : failure(`the module gave a manifest that cannot be: ${problem}`)
    }
    if (outcome.type === 'limit')
      return { ...limitFailure(outcome.limit), stack: null, place: null, isCostly: true }
    const stack = outcome.error?.stack == null ? null : userStack(outcome.error.stack, bundlesDir)
    const thrown = { stack, place: stack === null ? null : firstUserPlace(stack) }
    if (outcome.type === 'threw') {
      const { code, name, message } = outcome.error
      const isOurs = code === 'DAG_DEFINITION'
      return {
        ...failure(isOurs || name === 'Error' ? message : `${name}: ${message}`),
        ...thrown,
        hint: isOurs ? null : thrownHint,
      }
    }
    return { ...endedFailure(outcome), ...thrown, isCostly: true }
  }

  function limitFailure(limit: 'time' | 'memory'): Pick<ReadFailure, 'message' | 'hint'> {
    return limit === 'time'
      ? {
          message: `took longer than ${importTimeoutMs / 1_000} s to import`,
          hint: 'move what takes time (requests, large files) from the top level of the module into a task; loader_import_timeout is the limit',
        }
      : {
          message: `used more than ${memoryMb} MB while being imported`,
          hint: 'move what needs memory from the top level of the module into a task; loader_memory_mb is the limit',
        }
  }
}

const thrownHint =
  'it was thrown while the module was imported: what depends on the outside (files, network, environment) belongs into a task'

function failure(message: string): ReadFailure {
  return { message, hint: null, stack: null, place: null, isCostly: false }
}

function endedFailure({ exitCode, signal, error }: Extract<ReaderOutcome, { type: 'ended' }>) {
  if (error !== null && exitCode === null) {
    return {
      message: `ended the process while being imported by an error that nothing caught: ${error.message}`,
      hint: 'await each promise, and catch what a callback throws',
    }
  }
  const how = signal === null ? `exit code ${exitCode} (process.exit)` : `signal ${signal}`
  return {
    message: `ended the process with ${how} while being imported`,
    hint: 'a Dag module only describes its Dags: take out what ends the process, or move it into a task',
  }
}

function endsProcess(outcome: ReaderOutcome): boolean {
  return outcome.type === 'ended' || outcome.type === 'limit'
}
