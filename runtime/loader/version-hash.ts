// The identity of a Dag version: what it runs (the bundle) and what it says of itself (the manifest).
import { hash } from 'node:crypto'
import type { DagManifest } from '../manifest.ts'

/** SHA-256 in hexadecimal; the order of the manifest's keys does not matter. */
export function versionHash(bundleHash: string, manifest: DagManifest): string {
  return hash('sha256', `${bundleHash}\n${canonicalJson(manifest)}`)
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
