// (i), what sync costs while nothing is new: time and processor of a poll against `git ls-remote` by hand, how many
// git commands a poll runs, and what a thousand polls leave behind. While the floor is measured sync is stopped, so
// that the two never share the processor.
import { readFileSync, rmSync } from 'node:fs'
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../cli/dev/ports.ts'
import { bareLsRemote } from '../floor/bare-sync.ts'
import type { BenchContext, Measurement } from '../support/bench-case.ts'
import { processTree } from '../support/process-tree.ts'
import { repositorySizes, type SyncSite } from '../support/sample-repository.ts'
import { type SyncProgram, type SyncUse, startSync, useOf } from '../support/sync-program.ts'
import { pause, waitUntil } from '../support/wait-until.ts'

/** The shortest that sync takes: a thousand polls in a quarter of a minute. */
const periodMs = 10
/** A hundredth of a second is the unit of the processor's time: 2 % of what forty polls take. */
const pollsPerWindow = 40
const windows = 15
/** A git that was under way when sync was stopped has ended. */
const stopMs = 50
const manyPolls = 1_000
/** A look makes sync write its metrics: at one in 50 ms that is 0.7 ms of the processor's time for each poll. */
const lookEveryMs = 500

interface Polls {
  count: number
  seconds: number
}

export async function measureIdleSync(context: BenchContext, site: SyncSite): Promise<Measurement[]> {
  const { size, repository, directory } = site
  const root = join(directory, 'root')
  const port = (await freePort('127.0.0.1', 0))!
  const args = [
    '--depth=1',
    '--period',
    `${periodMs}ms`,
    '--http-bind',
    `127.0.0.1:${port}`,
    '--http-metrics',
  ]
  const settings = { ...repositorySizes[size], depth: 1 }
  const measurements: Measurement[] = []
  {
    await using sync = await startSync(context, { url: repository.url, root, args })
    const polls = () => readPolls(port)
    const first = useOf(sync.pid)
    if (size === 'small') {
      measurements.push(
        ...(await measureWindows(context, { sync, polls, url: repository.url, root, settings })),
      )
    }
    const before = await pollsMore(context, polls, context.isQuick ? 1 : 100).then(() => useOf(sync.pid))
    const count = context.isQuick ? 10 : manyPolls
    await pollsMore(context, polls, count)
    const after = useOf(sync.pid)
    measurements.push(...memoryLines(`i-sync-first-${size}`, first, settings))
    const grown = {
      polls: count,
      open_files: [before.openFiles, after.openFiles],
      children: [before.children, after.children],
      rss_mib_before: Math.round(before.rssMib),
    }
    measurements.push(...memoryLines(`i-sync-after-polls-${size}`, after, { ...settings, ...grown }))
  }
  await rm(root, { recursive: true })
  if (size === 'small') measurements.push(await countProcesses(context, site, root, settings))
  return measurements
}

function memoryLines(name: string, use: SyncUse, settings: Record<string, unknown>): Measurement[] {
  const line = { unit: 'MiB', floors: null, settings } as const
  return [
    { ...line, name: `${name}-rss`, values: [use.rssMib], target: '90 MiB' },
    { ...line, name: `${name}-pss`, values: [use.pssMib], target: null },
  ]
}

async function measureWindows(
  { signal, isQuick }: BenchContext,
  given: {
    sync: SyncProgram
    polls: () => Promise<Polls>
    url: string
    root: string
    settings: Record<string, unknown>
  },
): Promise<Measurement[]> {
  const { sync, polls, url, root, settings } = given
  const wall = { values: [] as number[], floors: [] as number[] }
  const cpu = { values: [] as number[], floors: [] as number[] }
  for (let n = isQuick ? 0 : -1; n < (isQuick ? 1 : windows); n += 1) {
    const [before, cpuBefore] = [await polls(), cpuMsOf(sync.pid)]
    const after = await pollsMore({ signal }, polls, pollsPerWindow)
    const cpuAfter = cpuMsOf(sync.pid)
    const count = after.count - before.count
    process.kill(sync.pid, 'SIGSTOP')
    try {
      await pause(stopMs, signal)
      const floorCpuBefore = childrenCpuMs()
      const began = performance.now()
      for (let poll = 0; poll < pollsPerWindow; poll += 1) await bareLsRemote(root, url)
      if (n >= 0) {
        wall.floors.push((performance.now() - began) / pollsPerWindow)
        cpu.floors.push((childrenCpuMs() - floorCpuBefore) / pollsPerWindow)
        wall.values.push(((after.seconds - before.seconds) * 1_000) / count)
        cpu.values.push((cpuAfter - cpuBefore) / count)
      }
    } finally {
      process.kill(sync.pid, 'SIGCONT')
    }
  }
  const target = '1.3 × floor'
  return [
    { name: 'i-sync-poll-wall', unit: 'ms', ...wall, target, settings },
    { name: 'i-sync-poll-cpu', unit: 'ms', ...cpu, target, settings },
  ]
}

/** Waits for so many polls that found nothing new; gives all there were. */
async function pollsMore(
  { signal }: Pick<BenchContext, 'signal'>,
  polls: () => Promise<Polls>,
  count: number,
): Promise<Polls> {
  const first = await polls()
  return await waitUntil(`${count} polls`, { everyMs: lookEveryMs, signal }, async () => {
    const now = await polls()
    return now.count - first.count >= count ? now : undefined
  })
}

/** As sync's own metrics have them. */
async function readPolls(port: number): Promise<Polls> {
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const value = (name: string) =>
    Number(
      new RegExp(`^git_sync_duration_seconds_${name}\\{status="noop"\\} (\\S+)$`, 'm').exec(page)?.[1] ?? 0,
    )
  return { count: value('count'), seconds: value('sum') }
}

/** Of sync and of the git processes that it has waited for. */
function cpuMsOf(pid: number): number {
  return processTree(pid, () => false)[0]!.cpuSeconds * 1_000
}

/** Of the processes that this one has waited for: fields 16 and 17 of proc(5), counted from the state. */
function childrenCpuMs(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[13]) + Number(fields[14])) / 100) * 1_000
}

/** git commands of one poll, counted by a git that notes each of its starts. */
async function countProcesses(
  context: BenchContext,
  { repository, directory }: SyncSite,
  root: string,
  settings: Record<string, unknown>,
): Promise<Measurement> {
  const [wrapper, notes] = [join(directory, 'counting-git'), join(directory, 'git-commands')]
  await writeFile(wrapper, `#!/bin/sh\necho "$1" >> '${notes}'\nexec git "$@"\n`)
  await chmod(wrapper, 0o755)
  const port = (await freePort('127.0.0.1', 0))!
  const args = [
    '--depth=1',
    '--git',
    wrapper,
    '--period',
    '20ms',
    '--http-bind',
    `127.0.0.1:${port}`,
    '--http-metrics',
  ]
  const commands = async () => (await readFile(notes, 'utf8')).trimEnd().split('\n')
  await using sync = await startSync(context, { url: repository.url, root, args })
  // The first polls also look at the files, once after they were written.
  const polls = () => readPolls(port)
  await pollsMore(context, polls, 5)
  const [before, commandsBefore] = [await polls(), (await commands()).length]
  const after = await pollsMore(context, polls, context.isQuick ? 5 : 100)
  const all = await commands()
  process.kill(sync.pid, 'SIGSTOP')
  const perPoll = (all.length - commandsBefore) / (after.count - before.count)
  process.kill(sync.pid, 'SIGCONT')
  rmSync(notes)
  return {
    name: 'i-sync-poll-git-processes',
    unit: 'processes',
    values: [perPoll],
    floors: null,
    target: '1',
    settings: { ...settings, of_first_sync: all.slice(0, firstSyncLength(all)) },
  }
}

/** All up to the first poll. */
function firstSyncLength(commands: readonly string[]): number {
  const firstPoll = commands.indexOf('ls-remote')
  return firstPoll === -1 ? commands.length : firstPoll
}
