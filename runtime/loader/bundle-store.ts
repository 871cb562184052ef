// The folder of bundles: `<hash>.mjs`, and beside it `<hash>.json` with what its import showed, so that a loader
// that begins anew imports nothing that it knows. Files are complete or absent: written under another name and
// renamed. A crash of the machine may still leave an empty one, so sizes and shapes are checked when one is reused.
//
// Synchronous: a small file takes 0.1 ms so, and eight times that of a core through promises.
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkReading } from './manifest-check.ts'
import type { ModuleReading } from './reader-protocol.ts'

/** To be raised when the same module would give another manifest than before. */
const readingFormat = 1

export interface BundleStore {
  /** Makes the folder. */
  prepare(): void
  pathOf(hash: string): string
  /** Writes the bundle where it is not there already. */
  putBundle(hash: string, code: string): void
  /** null: none is kept, or what is there cannot be used. */
  getReading(hash: string): ModuleReading | null
  putReading(hash: string, reading: ModuleReading): void
}

let writes = 0

export function createBundleStore(bundlesDir: string): BundleStore {
  const pathOf = (hash: string) => join(bundlesDir, `${hash}.mjs`)
  const readingPathOf = (hash: string) => join(bundlesDir, `${hash}.json`)

  function write(path: string, text: string): void {
    const temporaryPath = `${path}.tmp-${process.pid}-${writes++}`
    writeFileSync(temporaryPath, text)
    renameSync(temporaryPath, path)
  }

  return {
    pathOf,
    prepare() {
      mkdirSync(bundlesDir, { recursive: true })
    },
    putBundle(hash, code) {
      const existing = statSync(pathOf(hash), { throwIfNoEntry: false })
      if (existing?.size !== Buffer.byteLength(code)) write(pathOf(hash), code)
    },
    getReading(hash) {
      try {
        const { format, ...reading } = JSON.parse(readFileSync(readingPathOf(hash), 'utf8'))
        return format === readingFormat && checkReading(reading) === null ? reading : null
      } catch {
        return null
      }
    },
    putReading(hash, reading) {
      write(readingPathOf(hash), JSON.stringify({ format: readingFormat, ...reading }))
    },
  }
}
