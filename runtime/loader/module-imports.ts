// Imports of bundles that outlive the pass that asked for them. A module that takes its time must not hold up the
// others that came with the same push, nor begin anew with each push after it: a pass waits for it a little, goes
// on, and a later pass finds the result.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ManifestReaders, ManifestRequest, ReadFailure } from './read-manifest.ts'
import type { ModuleReading } from './reader-protocol.ts'

type Outcome = ModuleReading | ReadFailure

interface ModuleImport {
  controller: AbortController
  outcome: Promise<Outcome>
  /** A pass went on without it. */
  isLate: boolean
}

export interface ModuleImports {
  /**
   * What the import showed; `slow`: it goes on, ask again.
   * @param key what is imported: equal keys share one import
   * @throws the signal's reason when it fires; the import goes on all the same
   */
  get(key: string, request: ManifestRequest, signal: AbortSignal): Promise<Outcome | 'slow'>
  /** Gives up imports whose key is none of these. */
  keepOnly(keys: ReadonlySet<string>): void
}

/**
 * How long a pass waits for one import. Smaller: on a busy machine slow modules become live in two steps, with an
 * import error in between. Larger: a module that never ends delays all others of its push for as long, once.
 */
export const slowImportMs = 3_000

/** @param wake called when an import has ended that a pass did not wait for */
export function createModuleImports(readers: ManifestReaders, wake: () => void): ModuleImports {
  const imports = new Map<string, ModuleImport>()

  function begin(key: string, request: ManifestRequest): ModuleImport {
    const controller = new AbortController()
    const begun = { controller, outcome: readers.read(request, controller.signal), isLate: false }
    imports.set(key, begun)
    begun.outcome.then(
      () => begun.isLate && wake(),
      // Given up, or no process to be had: whoever waits for it hears of it, and the next one begins anew.
      () => imports.get(key) === begun && imports.delete(key),
    )
    return begun
  }

  return {
    async get(key: string, request: ManifestRequest, signal: AbortSignal): Promise<Outcome | 'slow'> {
      const current = imports.get(key) ?? begin(key, request)
      const timer = new AbortController()
      const slow = sleep(slowImportMs, 'slow' as const, { signal: AbortSignal.any([signal, timer.signal]) })
      try {
        const outcome = await Promise.race([current.outcome, slow])
        if (outcome === 'slow') current.isLate = true
        else imports.delete(key)
        return outcome
      } finally {
        timer.abort()
      }
    },
    keepOnly(keys: ReadonlySet<string>): void {
      for (const [key, { controller }] of imports) {
        if (keys.has(key)) continue
        controller.abort()
        imports.delete(key)
      }
    },
  }
}
