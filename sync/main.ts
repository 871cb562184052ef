// The program `branchline sync`: a drop-in for git-sync. Arguments and environment in, signals and exit codes out;
// everything else is in sync-service.ts.
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { systemClock } from '../runtime/clock.ts'
import { BranchlineError, ConflictError, InvalidInputError, messageOf } from '../runtime/errors.ts'
import { createLogger, createPatientDestination } from '../runtime/log.ts'
import { onParentGone, reportReady } from '../runtime/parent-watch.ts'
import { version } from '../runtime/version.ts'
import { checkOptions } from './options/check-options.ts'
import { helpText } from './options/help.ts'
import { manualText } from './options/manual.ts'
import type { SyncOptions } from './options/options.ts'
import { parseOptions } from './options/parse-options.ts'
import { signalNamed } from './options/sync-signal.ts'
import { addUser } from './process/add-user.ts'
import { becomeInit } from './process/init.ts'
import { keepMemorySmall, preferSizeToSpeed } from './process/memory.ts'
import { errorFileText, writeErrorFile } from './status-files.ts'
import { createSyncService, type SyncService } from './sync-service.ts'

const ExitCode = { done: 0, failed: 1, usage: 2, noInit: 127, signalled: 128 } as const

/** Signals that end the program; each unless --sync-on-signal names it. */
const endingSignals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']
/** Signals that do nothing, as for git-sync: Node would open its debugger on the first, and die of the others. */
const ignoredSignals: readonly NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGPIPE']

/**
 * What is under way may take this long to end after a signal. Shorter: a large folder that is being removed is
 * left half removed, to be finished by the next start. Longer: the stop takes more than a second.
 */
const stopGraceMs = 800

/**
 * What was logged may take this long to be read before the exit, after a signal and without one. Shorter: last lines are
 * lost where the reader is slow. Longer: a reader that is away holds up the end.
 */
const logGraceMs = { signalled: 100, ended: 2_000 } as const

/** What log and error file say of whatever keeps it from starting, though its options can work. */
const startFailure = 'cannot start'
/** What they say where it ran already, and stood still for so long that another sync took over. */
const lossOfRoot = 'lost the root to another sync'

process.exit(process.pid === 1 ? runUnderInit() : await runLogged())

/** The first process of a container must reap what others leave behind, which Node does not. */
function runUnderInit(): number {
  try {
    return becomeInit({
      command: [process.execPath, ...process.execArgv, ...process.argv.slice(1)],
      env: process.env,
    })
  } catch (error) {
    process.stderr.write(`FATAL: unhandled pid1 error: ${messageOf(error)}\n`)
    return ExitCode.noInit
  }
}

async function runLogged(): Promise<number> {
  const destination = createPatientDestination('sync')
  const code = await main(destination)
  await destination.flush(code >= ExitCode.signalled ? logGraceMs.signalled : logGraceMs.ended)
  return code
}

async function main(destination: { write(line: string): void }): Promise<number> {
  for (const signal of ignoredSignals) process.on(signal, () => {})
  const request = readArguments()
  if (typeof request === 'number') return request
  const { options } = request
  // One sync ends before its memory is worth the 4 ms.
  if (!options.oneTime) keepMemorySmall()
  const logOf = (name: string) => createLogger(name, { level: logLevelOf(options.verbose), destination })
  const log = logOf('sync')
  // Whatever the caller's: consumers in other containers must be able to read what is published.
  process.umask(options.groupWrite ? 0o002 : 0o022)
  try {
    checkOptions(options)
  } catch (error) {
    const text = messageOf(error)
    process.stderr.write(`${text}\n\n${helpText()}\n${text}\n`)
    await noteInErrorFile(options, text)
    return ExitCode.failed
  }
  const wakeSignal = options.syncOnSignal === '' ? undefined : signalNamed(options.syncOnSignal)
  // Until there is a service to wake: it begins with a sync anyway.
  if (wakeSignal !== undefined) process.on(wakeSignal, () => {})
  try {
    if (options.addUser) addOwnUser()
    const service = await createSyncService({
      options,
      env: process.env,
      argv: process.argv,
      clock: systemClock,
      log,
      logOf,
      onReady: () => {
        reportReady()
        if (!options.oneTime) preferSizeToSpeed()
      },
    })
    const { ended, hasCome } = handleSignals(wakeSignal, service)
    const running = service.run().catch((error: unknown) => {
      // What is ended under it fails: that is no failure of its own.
      if (hasCome()) return 'stopped' as const
      throw error
    })
    const end = await Promise.race([running, ended])
    if (typeof end === 'number') return end
    if (end === 'stopped') return await ended
    return end === 'one_time' ? ExitCode.done : ExitCode.failed
  } catch (error) {
    const text = messageOf(error)
    const isExpected = error instanceof BranchlineError
    const isLoss = error instanceof ConflictError && error.details.is_lost === true
    const message = isLoss ? lossOfRoot : startFailure
    log.fatal(isExpected ? { error: text, code: error.code } : { error: text, err: error }, message)
    await noteInErrorFile(options, errorFileText(message, text, {}))
    return ExitCode.failed
  }
}

/** Options; or an exit code, where the arguments ask for nothing to be run or cannot be read. */
function readArguments(): { options: SyncOptions } | number {
  try {
    const request = parseOptions(process.argv.slice(2), process.env)
    for (const note of request.notes) process.stderr.write(`${note}\n`)
    if (request.type === 'run') return request
    const texts = { help: helpText, man: manualText, version: () => `${version}\n` }
    process.stdout.write(texts[request.type]())
    return ExitCode.done
  } catch (error) {
    const text = messageOf(error)
    if (error instanceof InvalidInputError) {
      process.stderr.write(`${text}\n\n${helpText()}\n${text}\n`)
      process.stdout.write(`${text}\n`)
      return ExitCode.usage
    }
    process.stderr.write(`FATAL: ${text}\n`)
    return ExitCode.failed
  }
}

/** git-sync's numbers: 0 is what changes, 5 and more are git's commands and what they print, less is silence. */
function logLevelOf(verbose: number): 'trace' | 'debug' | 'info' | 'warn' {
  if (verbose >= 6) return 'trace'
  if (verbose >= 5) return 'debug'
  return verbose >= 0 ? 'info' : 'warn'
}

function addOwnUser(): void {
  const { getuid, getgid, env } = process
  if (getuid === undefined || getgid === undefined) return
  addUser({ uid: getuid(), gid: getgid(), home: env.HOME || process.cwd() })
}

/** `ended` resolves with an exit code when a signal ended the service, within `stopGraceMs`. */
function handleSignals(
  wakeSignal: NodeJS.Signals | undefined,
  service: SyncService,
): { ended: Promise<number>; hasCome: () => boolean } {
  let hasCome = false
  if (wakeSignal !== undefined) process.on(wakeSignal, service.wake)
  const ended = new Promise<number>((resolve) => {
    for (const signal of endingSignals) {
      if (signal === wakeSignal) continue
      process.once(signal, async () => {
        hasCome = true
        // Nothing is left to do for a commit that is published; so git-sync calls this an end and no interruption.
        const isDone = signal === 'SIGINT' && service.isFinal()
        await Promise.race([service.stop(), new Promise((done) => setTimeout(done, stopGraceMs))])
        resolve(isDone ? ExitCode.done : ExitCode.signalled + constants.signals[signal])
      })
    }
    // Whoever started us was killed: the same as asking us to end.
    onParentGone(() => process.kill(process.pid, 'SIGTERM'))
  })
  return { ended, hasCome: () => hasCome }
}

/** As git-sync has it: bare for options that cannot work, as JSON for what fails afterwards. */
async function noteInErrorFile(options: SyncOptions, text: string): Promise<void> {
  if (options.errorFile === '' || options.root === '') return
  await writeErrorFile(resolve(options.root, options.errorFile), text).catch(() => {})
}
