// From what the import of a bundle showed to the module's Dags, or to the reason why it has none: a Dag that was
// made but not exported, or two with one dag_id. Their places are places in the bundle, which its source map
// translates; that is done only here and only for errors, since it takes reading the whole map.
import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { importError, type Place } from './import-error.ts'
import type { ImportError, LoadedDag } from './load-result.ts'
import type { BundlePosition, ModuleReading } from './reader-protocol.ts'
import { versionHash } from './version-hash.ts'

interface JudgeOptions {
  file: string
  bundleHash: string
  bundlePath: string
  reading: ModuleReading
}

/** @returns the module's Dags (none: it is no Dag module), or the error */
export function judgeReading({
  file,
  bundleHash,
  bundlePath,
  reading,
}: JudgeOptions): LoadedDag[] | ImportError {
  const seen = new Set<string>()
  for (const { manifest, made_at } of reading.dags) {
    if (seen.has(manifest.dag_id)) {
      return importError(file, `two Dags of this module have the dag_id '${manifest.dag_id}'`, {
        place: sourcePlace(bundlePath, made_at),
        hint: 'give one of them another dag_id',
      })
    }
    seen.add(manifest.dag_id)
  }
  for (const { dag_id, made_at } of reading.unexported) {
    const place = sourcePlace(bundlePath, made_at)
    // A module may import another that has Dags of its own, which are not for this one to export.
    if (place?.file !== file) continue
    return importError(file, `the module makes Dag '${dag_id}' and does not export it`, {
      place,
      hint: 'export it: export default dag(…), export const name = dag(…), or a list of Dags',
    })
  }
  return reading.dags.map(({ manifest }) => ({
    dag_id: manifest.dag_id,
    file,
    bundle_hash: bundleHash,
    bundle_path: bundlePath,
    manifest,
    version_hash: versionHash(bundleHash, manifest),
  }))
}

const mapComment = '//# sourceMappingURL=data:application/json;base64,'

/** Where in the user's files the position in a bundle is. */
export function sourcePlace(bundlePath: string, position: BundlePosition | null): Place | null {
  if (position === null) return null
  const code = readFileSync(bundlePath, 'utf8')
  const encoded = code.slice(code.lastIndexOf(mapComment) + mapComment.length)
  const map = new SourceMap(JSON.parse(Buffer.from(encoded, 'base64').toString()))
  const entry = map.findEntry(position.line - 1, position.column - 1)
  if (!('originalSource' in entry)) return null
  return { file: entry.originalSource, line: entry.originalLine + 1, column: entry.originalColumn + 1 }
}
