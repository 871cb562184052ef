// What the command line's exit codes say to scripts: one table, which the code, docs/reference/exit-codes.md and a
// test read. `branchline sync` is not in it, since it keeps git-sync's codes, nor what `branchline exec` hands on.
import { BranchlineError, KubernetesError } from '../runtime/errors.ts'

export const ExitCode = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unreachable: 4,
  conflict: 5,
  interrupted: 130,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** What each code means, for the reference page. */
export const exitCodeMeanings: Readonly<Record<ExitCode, string>> = {
  [ExitCode.ok]: 'Done. With `--wait`, `runs watch` and `dags test`: the run succeeded.',
  [ExitCode.failed]:
    'It failed: the run that was waited for or tested failed, `import-errors` found some, or the command met an error that no other code names.',
  [ExitCode.usage]:
    'Not understood: an unknown command or option, a value that cannot be, a wrong configuration. Nothing was done.',
  [ExitCode.notFound]: 'There is no Dag, run, task or attempt of that name. Nothing was done.',
  [ExitCode.unreachable]:
    'The API, the database or the cluster does not answer. Trying again later may help.',
  [ExitCode.conflict]:
    'Refused, because of the present state: the run_id exists already, the run has ended. Nothing was done.',
  [ExitCode.interrupted]: 'Ended by ctrl-C. A run that was watched goes on.',
}

/** Code of the error catalogue → exit code; what is not listed is `failed`. */
const exitCodesOfErrors: Readonly<Record<string, ExitCode>> = {
  CONFIG: ExitCode.usage,
  INVALID_INPUT: ExitCode.usage,
  NOT_FOUND: ExitCode.notFound,
  API_UNREACHABLE: ExitCode.unreachable,
  DATABASE_UNAVAILABLE: ExitCode.unreachable,
  CONFLICT: ExitCode.conflict,
}

/** The exit code of a command that threw this. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof KubernetesError && error.status === null) return ExitCode.unreachable
  return (error instanceof BranchlineError && exitCodesOfErrors[error.code]) || ExitCode.failed
}
