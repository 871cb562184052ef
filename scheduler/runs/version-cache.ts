// Dag versions in memory, and their bundles as files: graph and bundle of a version never change, so each is read
// once. A bundle that this machine has not built itself (another scheduler loaded it, the cache was wiped) is
// written from Postgres, which has all of them.
import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Queryable } from '../database/connection.ts'
import { readBundle, readDagVersions } from '../database/dag-versions.ts'
import { createDagGraph, type DagGraph } from '../decide/dag-graph.ts'

export interface DagVersion {
  dagVersionId: number
  bundleHash: string
  /** A file that is there. */
  bundlePath: string
  graph: DagGraph
  /** Tasks whose result some other task takes as an input. */
  isInput: readonly boolean[]
}

export interface VersionCache {
  /** Each of these versions, by id. */
  load(ids: readonly number[]): Promise<ReadonlyMap<number, DagVersion>>
}

/** Least recently used versions are forgotten beyond this; a graph of 100 tasks takes about 50 kB. */
const maxVersions = 2_000

/** @param bundlesDir where the loader keeps bundles, as `<bundle_hash>.mjs` */
export function createVersionCache(db: Queryable, bundlesDir: string): VersionCache {
  const versions = new Map<number, DagVersion>()

  async function ensureBundle(bundleHash: string): Promise<string> {
    const path = join(bundlesDir, `${bundleHash}.mjs`)
    if (existsSync(path)) return path
    const code = await readBundle(db, bundleHash)
    if (code === undefined) throw new Error(`bundle ${bundleHash} is not in the database`)
    await mkdir(bundlesDir, { recursive: true })
    const temporary = `${path}.${process.pid}.tmp`
    await writeFile(temporary, code)
    await rename(temporary, path)
    return path
  }

  return {
    async load(ids) {
      const missing = [...new Set(ids)].filter((id) => !versions.has(id))
      const rows = missing.length === 0 ? [] : await readDagVersions(db, missing)
      for (const row of rows) {
        const graph = createDagGraph(row.manifest)
        const isInput = graph.tasks.map(() => false)
        for (const task of graph.tasks) {
          for (const taskId of Object.values(task.inputs)) isInput[graph.numberOf.get(taskId)!] = true
        }
        versions.set(row.dag_version_id, {
          dagVersionId: row.dag_version_id,
          bundleHash: row.bundle_hash,
          bundlePath: await ensureBundle(row.bundle_hash),
          graph,
          isInput,
        })
      }
      const loaded = new Map<number, DagVersion>()
      for (const id of ids) {
        const version = versions.get(id)!
        // Put last again: the first of the map is the one not used for longest.
        versions.delete(id)
        versions.set(id, version)
        loaded.set(id, version)
      }
      for (const id of versions.keys()) {
        if (versions.size <= maxVersions) break
        if (!loaded.has(id)) versions.delete(id)
      }
      return loaded
    },
  }
}
