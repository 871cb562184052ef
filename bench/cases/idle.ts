// (g) What a system costs that has nothing to do: `branchline dev` on a Git repository with a hundred Dags, all its
// processes but Postgres'. There is no bare loop of doing nothing, so no floor.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../cli/dev/ports.ts'
import type { BenchCase, BenchContext } from '../support/bench-case.ts'
import { ordinaryModules } from '../support/dag-modules.ts'
import { createGitRepository } from '../support/git-repository.ts'
import { type ProcessUse, processTree } from '../support/process-tree.ts'
import { rounded } from '../support/statistics.ts'
import { startProgram } from '../support/system.ts'
import { pause, waitUntil } from '../support/wait-until.ts'

const dagCount = 100
/** What loading left to be tidied (esbuild's process, garbage) is over by then. */
const settleMs = 15_000
/** The processor's time is counted in hundredths of a second: 0.05 % of a core here. */
const windowMs = 20_000
const windows = 3

export const idle: BenchCase = {
  letter: 'g',
  name: 'idle',
  async measure(context) {
    const directory = join(context.directory, 'idle')
    await mkdir(directory)
    const repository = await createGitRepository(directory, ordinaryModules(dagCount))
    const port = (await freePort('127.0.0.1', 0))!
    const dev = await startProgram(context, 'dev', {
      args: [context.programPath('branchline'), 'dev', '--repo', repository.url, '--ref', 'main'],
      env: { BRANCHLINE_DATA_DIR: join(directory, 'data'), BRANCHLINE_WEB_PORT: String(port) },
    })
    try {
      await dagsAreServed(context, port)
      return await watch(context, dev.pid)
    } finally {
      await dev.stop()
    }
  },
}

/** Waits until the API lists all Dags. */
async function dagsAreServed({ signal }: BenchContext, port: number): Promise<void> {
  await waitUntil(`${dagCount} Dags in the API`, { everyMs: 50, signal }, async () => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v2/dags?limit=1`).catch(() => undefined)
    if (!response?.ok) return undefined
    const { total_entries } = (await response.json()) as { total_entries: number }
    return total_entries === dagCount || undefined
  })
}

async function watch({ signal, isQuick }: BenchContext, pid: number) {
  const cpu: number[] = []
  const rss: number[] = []
  const pss: number[] = []
  const [settle, window, count] = isQuick ? [500, 2_000, 1] : [settleMs, windowMs, windows]
  await pause(settle, signal)
  let before = processTree(pid, isPostgres)
  for (let n = 0; n < count; n += 1) {
    const began = performance.now()
    await pause(window, signal)
    const after = processTree(pid, isPostgres)
    const seconds = (performance.now() - began) / 1_000
    // What ended meanwhile is in its parent's sum: Linux adds it when the parent learns of the end.
    cpu.push(((sumOf(after, 'cpuSeconds') - sumOf(before, 'cpuSeconds')) / seconds) * 100)
    rss.push(sumOf(after, 'rssMib'))
    pss.push(sumOf(after, 'pssMib'))
    before = after
  }
  const settings = { dags: dagCount, sync: 'file://', window_s: window / 1_000 }
  const sizes = (key: 'rssMib' | 'pssMib') => ({ ...settings, processes: sizesByName(before, key) })
  return [
    { name: 'g-idle-cpu', unit: '% of a core', values: cpu, floors: null, target: '1 %', settings },
    {
      name: 'g-idle-memory-pss',
      unit: 'MiB',
      values: pss,
      floors: null,
      target: '250 MiB',
      settings: sizes('pssMib'),
    },
    {
      name: 'g-idle-memory-rss',
      unit: 'MiB',
      values: rss,
      floors: null,
      target: null,
      settings: sizes('rssMib'),
    },
  ] as const
}

const isPostgres = (name: string) => name === 'postgres' || name.startsWith('postgres:')

function sumOf(uses: readonly ProcessUse[], key: 'cpuSeconds' | 'rssMib' | 'pssMib'): number {
  return uses.reduce((sum, use) => sum + use[key], 0)
}

/** Program → MiB of its processes. */
function sizesByName(uses: readonly ProcessUse[], key: 'rssMib' | 'pssMib'): Record<string, number> {
  const byName = Map.groupBy(uses, ({ name }) => name)
  return Object.fromEntries([...byName].map(([name, group]) => [name, rounded(sumOf(group, key))]))
}
