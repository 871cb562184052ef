// (f) Five hundred Dag modules from nothing: from the start of a scheduler with an empty cache and an empty database
// until all five hundred Dags are live.
//
// Floor: a process that has esbuild bundle the same modules, from its start to its end.
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BenchCase } from '../support/bench-case.ts'
import { ordinaryModules } from '../support/dag-modules.ts'
import { inTurn } from '../support/rounds.ts'
import { createSite, dagsAreLive, startScheduler, writeModules } from '../support/system.ts'

const moduleCount = 500
/** Coarse enough not to slow Postgres down, and well below what is measured. */
const lookEveryMs = 10

export const loadAll: BenchCase = {
  letter: 'f',
  name: 'load-500-modules',
  async measure(context) {
    const sourcePath = join(context.directory, 'load-all')
    await writeModules(sourcePath, ordinaryModules(moduleCount))
    const outdir = join(context.directory, 'floor-bundles')
    const bareLoader = join(import.meta.dirname, '../floor/bare-loader-main.ts')
    const rounds = await inTurn({
      rounds: context.isQuick ? 1 : 7,
      warmUp: context.isQuick ? 0 : 1,
      signal: context.signal,
      async measure() {
        await using site = await createSite(context)
        const began = performance.now()
        const scheduler = await startScheduler(context, site, { sourcePath })
        try {
          await dagsAreLive(context, site.db, moduleCount, lookEveryMs)
          return performance.now() - began
        } finally {
          await scheduler.stop()
        }
      },
      async floor() {
        const began = performance.now()
        await promisify(execFile)(process.execPath, [bareLoader, sourcePath, outdir])
        const elapsedMs = performance.now() - began
        await rm(outdir, { recursive: true })
        return elapsedMs
      },
    })
    return [
      {
        name: 'f-load-500-modules',
        unit: 'ms',
        ...rounds,
        target: '2,000 ms',
        settings: { modules: moduleCount },
      },
    ]
  },
}
