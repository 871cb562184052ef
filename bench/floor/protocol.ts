// What the bare loop, its workers and the benchmark say to each other over Node's IPC channel.

/** A graph of tasks, each a number; what a task computes. */
export interface BareWorkload {
  /** Task → tasks that must have ended before. */
  upstream: readonly (readonly number[])[]
  work: 'nothing' | 'fibonacci'
  /** Tasks that may be queued at once; null: any number. */
  maxActive: number | null
}

/** Benchmark → loop. */
export type LoopOrder =
  | { type: 'run'; workload: BareWorkload }
  /** From now on answer NOTIFY by having a worker append a line to `<directory>/<payload>.log`. */
  | { type: 'listen'; directory: string }

/** Loop → benchmark. */
export type LoopReport =
  | { type: 'ready' }
  | { type: 'listening' }
  /** @property endsMs when the end of each task was committed, from the beginning, in order */
  | { type: 'done'; elapsedMs: number; endsMs: number[] }
  /** @property atNs by the clock of all processes, when the line was in the file */
  | { type: 'appended'; atNs: string }
  | { type: 'failed'; message: string }

/** Loop → worker. */
export type WorkerOrder =
  | { type: 'tasks'; tasks: readonly number[]; work: BareWorkload['work'] }
  | { type: 'append'; path: string }

/** Worker → loop. */
export type WorkerReport = { type: 'ended'; tasks: readonly number[] } | { type: 'appended'; atNs: string }

/** On which the trigger of case (a) is notified; the payload names the file. */
export const bareChannel = 'bare_trigger'
