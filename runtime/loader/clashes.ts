// Two modules with the same dag_id: the one that was live first keeps it, and after a restart the one whose file
// comes first. The other module fails as a whole and stays as it was, since half of a module is nothing that its
// author has seen. What stays as it was keeps its own ids before all newcomers, so this ends.
import type { DagModule } from './dag-module.ts'
import type { LoadedDag } from './load-result.ts'

export interface Clash {
  dag_id: string
  /** The module that has the dag_id. */
  ownerFile: string
}

/** @returns the modules that lost, each with the first dag_id that it wanted in vain */
export function findClashes(modules: readonly DagModule[]): Map<DagModule, Clash> {
  const lost = new Map<DagModule, Clash>()
  const owners = new Map(modules.flatMap((module) => module.live.map(({ dag_id }) => [dag_id, module])))
  for (let before = -1; before < lost.size; ) {
    before = lost.size
    const claims = modules.flatMap((module) =>
      dagsToBe(module, lost).map(({ dag_id }) => ({ dag_id, module })),
    )
    for (const [dag_id, claimants] of Map.groupBy(claims, (claim) => claim.dag_id)) {
      if (claimants.length === 1) continue
      const files = claimants.map(({ module }) => module).sort((a, b) => (a.file < b.file ? -1 : 1))
      const owner = files.find((module) => module === owners.get(dag_id)) ?? files[0]!
      for (const module of files) {
        if (module !== owner && !lost.has(module)) lost.set(module, { dag_id, ownerFile: owner.file })
      }
    }
  }
  return lost
}

/** What is live of a module: what it says now, or what was live before, if that failed or lost. */
export function dagsToBe(module: DagModule, lost: ReadonlyMap<DagModule, Clash>): readonly LoadedDag[] {
  return module.candidates === null || lost.has(module) ? module.live : module.candidates
}
