// The benchmark: `npm run bench` for the cases of a machine, `npm run bench -- b d` for some, `bench/on-cluster` for those
// that need a cluster. One JSON line for each figure on standard output, what happens meanwhile on standard error.
// docs/performance.md says what each case is.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { readPostmasterFile, stopPostmaster } from '../cli/dev/postmaster.ts'
import { worksIn } from '../cli/dev/processes.ts'
import { messageOf } from '../runtime/errors.ts'
import { didYouMean } from '../runtime/nearest.ts'
import { isRunning } from '../runtime/process-start.ts'
import { type Program, programPath } from '../runtime/programs.ts'
import { clusterPartsMissing } from '../test/support/cluster.ts'
import { chain } from './cases/chain.ts'
import { fanOut } from './cases/fan-out.ts'
import { idle } from './cases/idle.ts'
import { loadAll } from './cases/load-all.ts'
import { longRun } from './cases/long-run.ts'
import { podCheckout } from './cases/pod-checkout.ts'
import { podRate } from './cases/pod-rate.ts'
import { pods } from './cases/pods.ts'
import { podsRunning } from './cases/pods-running.ts'
import { push } from './cases/push.ts'
import { sync } from './cases/sync.ts'
import { throughput } from './cases/throughput.ts'
import { trigger } from './cases/trigger.ts'
import type { BenchCase, BenchContext } from './support/bench-case.ts'
import { startBenchPostgres } from './support/bench-postgres.ts'
import { type BenchLine, lineOf, markdownTable, readLines, withTable } from './support/lines.ts'
import { describeMachine } from './support/machine.ts'
import { memoryFileSystem } from './support/sample-repository.ts'

const machineCases: readonly BenchCase[] = [
  ...[trigger, chain, fanOut, throughput, push, loadAll, idle, longRun, sync],
]
const clusterCases: readonly BenchCase[] = [pods, podCheckout, podRate, podsRunning]
const cases = [...machineCases, ...clusterCases]
const prefix = 'branchline-bench-'
const documentPath = join(import.meta.dirname, '../docs/performance.md')

const caseText = ({ letter, name }: BenchCase): string => `${letter} ${name}`

const usage = `Usage: npm run bench -- [options] [case…]
       npm run bench -- --table < lines

Cases: ${machineCases.map(caseText).join(', ')}; all of these without one.
On a cluster, by bench/on-cluster: ${clusterCases.map(caseText).join(', ')}; all of these by --cluster.

  --quick         few rounds: shows that a case works, not how fast it is
  --dist          runs the built programs of dist/ instead of the sources
  --cluster       the cases that need a cluster
  --cpu-prof DIR  writes CPU profiles of the schedulers there
  --write-doc     puts the table of what was measured into docs/performance.md
  --table         only makes that table, of lines on standard input
  --help
`

async function main(): Promise<number> {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      dist: { type: 'boolean', default: false },
      cluster: { type: 'boolean', default: false },
      'cpu-prof': { type: 'string' },
      'write-doc': { type: 'boolean', default: false },
      table: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  if (options.table) {
    process.stdout.write(markdownTable(await readLines(process.stdin)))
    return 0
  }
  const chosen = choose(positionals, options.cluster ? clusterCases : machineCases)
  if (options['write-doc'] && (options.quick || positionals.length > 0)) {
    throw new Error(
      '--write-doc takes all cases, and not --quick: a table of half of the figures would say less than the old one',
    )
  }
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stopping.abort(new Error(`ended by ${signal}`)))
  }
  const profiles = options['cpu-prof']
  const lines = await measureAll(chosen, {
    isQuick: options.quick,
    programPath: options.dist ? builtProgram : programPath,
    schedulerNodeArguments: profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`],
    signal: stopping.signal,
    progress: (text) => process.stderr.write(`${text}\n`),
  })
  if (options['write-doc']) {
    const table = options.cluster ? 'pods' : 'machine'
    await writeFile(documentPath, withTable(await readFile(documentPath, 'utf8'), table, lines))
  }
  return 0
}

/**
 * @param all those that are meant where no name is given
 * @throws Error that names the nearest case
 */
function choose(names: readonly string[], all: readonly BenchCase[]): readonly BenchCase[] {
  const wanted = names.map((name) => {
    const found = cases.find((one) => one.letter === name || one.name === name)
    if (found !== undefined) return found
    const hint = didYouMean(
      name,
      cases.map((one) => one.name),
    )
    throw new Error(`there is no case '${name}'.${hint}\n\n${usage}`)
  })
  return wanted.length === 0 ? all : wanted
}

const builtProgram = (program: Program) => join(import.meta.dirname, '..', 'dist', `${program}.js`)

async function measureAll(
  chosen: readonly BenchCase[],
  given: Omit<BenchContext, 'postgres' | 'directory' | 'giveUp'>,
): Promise<BenchLine[]> {
  await removeLeftovers()
  await using cleanUp = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`))
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }))
  const postgres = cleanUp.use(await startBenchPostgres(directory, given.signal))
  const machine = describeMachine(directory, postgres.version)
  const programs = given.programPath === programPath ? 'source' : 'dist'
  const lines: BenchLine[] = []
  for (const one of chosen) {
    given.signal.throwIfAborted()
    const missing = clusterCases.includes(one) ? clusterPartsMissing() : undefined
    if (missing !== undefined) {
      given.progress(`${caseText(one)} is left out: ${missing}. bench/on-cluster boots one`)
      continue
    }
    given.progress(caseText(one))
    const ending = new AbortController()
    const signal = AbortSignal.any([given.signal, ending.signal])
    const giveUp = (reason: Error) => ending.abort(reason)
    for (const measurement of await one.measure({ ...given, postgres, directory, signal, giveUp })) {
      const line = lineOf(measurement, machine, programs)
      process.stdout.write(`${JSON.stringify(line)}\n`)
      lines.push(line)
    }
  }
  return lines
}

/** Ends the Postgres of benchmarks that were killed before they could, and removes their directories. */
async function removeLeftovers(): Promise<void> {
  const paths = [tmpdir(), memoryFileSystem].map(async (parent) => {
    const names = await readdir(parent).catch(() => [])
    return names.filter((name) => name.startsWith(prefix)).map((name) => join(parent, name))
  })
  for (const path of (await Promise.all(paths)).flat()) {
    const owner = Number.parseInt(basename(path).slice(prefix.length), 10)
    if (Number.isNaN(owner) || isRunning(owner)) continue
    const dataDirectory = join(path, 'postgres', 'data')
    const file = await readPostmasterFile(dataDirectory)
    if (file !== undefined && worksIn(file.pid, dataDirectory)) await stopPostmaster(file.pid)
    // Another user's leftovers stay theirs.
    await rm(path, { recursive: true, force: true }).catch(() => {})
  }
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${messageOf(error)}\n`)
  return 1
})
