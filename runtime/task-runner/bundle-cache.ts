// The Dags of imported bundles, by content. A bundle is imported once for each directory that its code is to see
// as its own; the same content from another commit's directory is another import. Node keeps a failed import as well,
// with every module below it, so that another try needs another process.
import { pathToFileURL } from 'node:url'
import type { Dag } from '../authoring/dag.ts'
import { dagsOf } from '../authoring/dags-of.ts'

/** Where bundles read the directory of their commit when they are imported. */
const sourcePathKey = Symbol.for('branchline.source-path')

export interface BundleCache {
  /**
   * The Dag with this id from the bundle.
   * @throws whatever the module throws while it is imported; an Error where it has no such Dag
   */
  dag(bundle: { hash: string; path: string; sourcePath: string }, dagId: string): Promise<Dag>
}

export function createBundleCache(): BundleCache {
  const imported = new Map<string, Promise<ReadonlyMap<string, Dag>>>()
  return {
    async dag({ hash, path, sourcePath }, dagId) {
      const key = `${hash} ${sourcePath}`
      let dags = imported.get(key)
      if (!dags) {
        dags = importBundle(path, sourcePath)
        imported.set(key, dags)
      }
      const dag = (await dags).get(dagId)
      if (!dag) throw new Error(`the module does not make Dag '${dagId}' when it is imported here`)
      return dag
    },
  }
}

async function importBundle(path: string, sourcePath: string): Promise<ReadonlyMap<string, Dag>> {
  Object.assign(globalThis, { [sourcePathKey]: sourcePath })
  const module = (await import(
    `${pathToFileURL(path).href}?source=${encodeURIComponent(sourcePath)}`
  )) as object
  return new Map(dagsOf(module).map((dag) => [dag.dagId as string, dag]))
}
