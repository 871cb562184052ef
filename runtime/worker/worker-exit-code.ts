// How `branchline task` ends, for people who look at pods: docs/reference/exit-codes.md. What counts is the result
// record: a code other than 0 never makes a success of a failure, and 0 is only given when the record was taken.

export const WorkerExitCode = {
  /** The attempt succeeded or was skipped, and the server has its result. */
  ok: 0,
  /** The attempt failed, and the server has that. */
  failed: 1,
  /** The container's environment is not that of a worker pod. */
  usage: 2,
  /** The attempt is not the current one of its task instance any more: what ran was ended, nothing was reported. */
  notCurrent: 3,
  /** The server does not accept this pod's identity. Nothing ran. */
  refused: 4,
  /** SIGTERM came before anything ran. */
  terminated: 143,
} as const
export type WorkerExitCode = (typeof WorkerExitCode)[keyof typeof WorkerExitCode]
