// What a case of the benchmark is given and what it gives back. A case measures in turn with its floor, in the
// same process tree and on the same Postgres, so that a noisy machine hits both alike.
import type { Program } from '../../runtime/programs.ts'
import type { BenchPostgres } from './bench-postgres.ts'

export type Unit =
  | 'ms'
  | 's'
  | 'tasks/s'
  | 'µs/task'
  | '% of a core'
  | 'MiB'
  | 'processes'
  | 'pods/min'
  | 'ms/pod'
  | 'requests'
  | 'pods'

/** Units of which more is better; their ratio is turned round. */
export const ratesUp: readonly Unit[] = ['tasks/s', 'pods/min']

/** What a case measured; main.ts makes a line of it. */
export interface Measurement {
  /** The case's letter and name, and a variant where it has several. */
  name: string
  unit: Unit
  /** One value a round. */
  values: readonly number[]
  /** The same work as a bare loop does it, in the same rounds; null: there is nothing to compare with. */
  floors: readonly number[] | null
  /** What this project wants of the figure; null: it only stands beside another. */
  target: string | null
  /** All that the figure depends on beside the machine. */
  settings: Record<string, unknown>
}

export interface BenchContext {
  postgres: BenchPostgres
  /** For everything that the case writes; removed at the end. */
  directory: string
  /** Few rounds: shows that the case works, not how fast it is. */
  isQuick: boolean
  /** File of a program under test: source or build, as asked for. */
  programPath(program: Program): string
  /** Arguments for the scheduler's node, for instance to profile it. */
  schedulerNodeArguments: readonly string[]
  /** Fires when the benchmark is to end, and when a program under test has ended by itself. */
  signal: AbortSignal
  /** Ends the case: what it waits for will not come. */
  giveUp(reason: Error): void
  /** Tells a person what happens now. */
  progress(text: string): void
}

export interface BenchCase {
  /** `a` to `m`, as in docs/performance.md. */
  letter: string
  name: string
  measure(context: BenchContext): Promise<readonly Measurement[]>
}
