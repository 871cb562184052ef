// The program that imports Dag modules: a process of its own, with an empty environment, a heap limit, and a
// loader outside that kills it when a module takes too long. It imports the bundles that it is given, one after
// another, and answers with the manifests of the Dags that they export.
import { writeSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { Socket } from 'node:net'
import { getCallSites } from 'node:util'
import { Worker } from 'node:worker_threads'
import { authoringKey, installAuthoring } from '../authoring/authoring-global.ts'
import type { Dag } from '../authoring/dag.ts'
import { dagsOf } from '../authoring/dags-of.ts'
import { watchBuiltins } from '../builtins.ts'
import { messageOf } from '../errors.ts'
import { readLines } from '../read-lines.ts'
import {
  answersFd,
  type BundlePosition,
  type ModuleReading,
  type ReaderAnswer,
  type ReadRequest,
  requestsFd,
  type ThrownReport,
} from './reader-protocol.ts'

/** Frames between a module's top level and the dag() that it makes by helpers. Node allows no more. */
const maxFrames = 200

/** What user code might replace is taken before it runs. */
const { parse, stringify } = JSON
const exitProcess = process.exit.bind(process)
const areBuiltinsReplaced = watchBuiltins()

let currentId = ''
let madeDags = new Map<Dag, BundlePosition | null>()

function answer(message: ReaderAnswer): void {
  const bytes = Buffer.from(`${stringify(message)}\n`)
  for (let sent = 0; sent < bytes.length; ) sent += writeSync(answersFd, bytes, sent)
}

function thrownReport(thrown: unknown): ThrownReport {
  const error = thrown instanceof Error ? thrown : null
  const code = (error as { code?: unknown } | null)?.code
  return {
    name: String(error?.name ?? 'Error'),
    message: messageOf(thrown),
    code: typeof code === 'string' ? code : null,
    stack: typeof error?.stack === 'string' ? error.stack : null,
  }
}

/** Where in the bundle the statement stands that led here. */
function positionInBundle(bundleUrl: string): BundlePosition | null {
  const frame = getCallSites(maxFrames, { sourceMap: false }).findLast(
    ({ scriptName }) => scriptName === bundleUrl,
  )
  return frame === undefined ? null : { line: frame.lineNumber, column: frame.columnNumber }
}

/** Has every dag() call noted, with its place, beside what it does. */
function noteDags(bundleUrl: string): void {
  const holder = globalThis as unknown as Record<symbol, { dag: (...given: unknown[]) => Dag }>
  installAuthoring()
  const authoring = holder[authoringKey]!
  const dag = (...given: unknown[]): Dag => {
    const made = authoring.dag(...given)
    madeDags.set(made, positionInBundle(bundleUrl))
    return made
  }
  holder[authoringKey] = { ...authoring, dag }
}

async function read({ id, bundle_url, source_path }: ReadRequest): Promise<void> {
  currentId = id
  madeDags = new Map()
  try {
    process.chdir(source_path)
    Object.assign(globalThis, { [Symbol.for('branchline.source-path')]: source_path })
    noteDags(bundle_url)
    const exported = dagsOf((await import(bundle_url)) as object)
    const reading: ModuleReading = {
      dags: exported.map((dag) => ({ manifest: dag.manifest, made_at: madeDags.get(dag) ?? null })),
      unexported: [...madeDags]
        .filter(([dag]) => !exported.includes(dag))
        .map(([dag, made_at]) => ({ dag_id: dag.dagId, made_at })),
    }
    answer({ type: 'read', id, reading })
  } catch (thrown) {
    answer({ type: 'threw', id, error: thrownReport(thrown) })
  }
  // The next module would be blamed for what this one did; whatever comes until the end is seen is read by another.
  if (areBuiltinsReplaced()) exitProcess(0)
}

// With the place of the call, which the exit code alone would not tell.
process.exit = ((code?: number) => {
  const exitCode = Number(code ?? process.exitCode ?? 0)
  const error = thrownReport(new Error(`process.exit(${exitCode})`))
  answer({ type: 'ending', id: currentId, exit_code: exitCode, error })
  exitProcess(exitCode)
}) as typeof process.exit

// A promise that nobody awaits, or a timer. Whether this module's or an earlier one's: the loader finds out.
process.on('uncaughtException', (thrown) => {
  answer({ type: 'ending', id: currentId, exit_code: null, error: thrownReport(thrown) })
  exitProcess(1)
})

const requests = new Socket({ fd: requestsFd, readable: true, writable: false })
readLines(requests, (line) => void read(parse(line) as ReadRequest))
requests.on('end', () => exitProcess(0))
answer({ type: 'ready' })

// Our own code, compiled, before any other is there: the next reader starts in 50 ms instead of 250.
flushCompileCache()
delete process.env.NODE_COMPILE_CACHE

// A module that never ends leaves this thread no time to see that the loader died, so another one watches.
const watchParent = `
  const parent = process.ppid
  setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL') }, 1_000)`
new Worker(watchParent, {
  eval: true,
  env: {},
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
}).unref()
