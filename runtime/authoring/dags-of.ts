// Which Dags a module has: those among its exports, one by one or in lists. Read by the loader when it reads
// manifests and by the task runner when it looks for a task, so that both see the same ones.
import { type Dag, isDag } from './dag.ts'

/** The Dags that `module` exports, each once, in the order of its exports; lists may be nested. */
export function dagsOf(module: object): Dag[] {
  const found = new Set<Dag>()
  const collect = (value: unknown): void => {
    if (isDag(value)) found.add(value)
    else if (Array.isArray(value)) for (const item of value) collect(item)
  }
  for (const value of Object.values(module)) collect(value)
  return [...found]
}
