// The error catalogue: one base class, one small class per situation. A message says what failed with the
// values, why, and what to do. `docs/reference/errors.md` lists each code with cause and remedy, and a test
// compares that list with `errorCatalogue` both ways. Errors are recognised by `code`, never by text.

export interface ErrorOptions {
  /** Values that the message speaks of, for logs and JSON. */
  details?: Record<string, unknown>
  cause?: unknown
}

/** Base of every error that Branchline throws on purpose. */
export class BranchlineError extends Error {
  /** Stable, upper snake case; the key in `docs/reference/errors.md`. */
  readonly code: string
  /** True where the same call may succeed later without a change by the user. */
  readonly retryable: boolean
  readonly details: Record<string, unknown>

  constructor(code: string, message: string, retryable: boolean, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.retryable = retryable
    this.details = options.details ?? {}
  }
}

/** A Dag definition that cannot be: a bad id, a cycle, an unknown option. Thrown while the module is imported. */
export class DagDefinitionError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('DAG_DEFINITION', message, false, options)
  }
}

/** Thrown by a task: this attempt failed and no further attempt is to be made. */
export class TaskFailError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('TASK_FAIL', message, false, options)
  }
}

/** Thrown by a task: the task instance is to be `skipped`. */
export class TaskSkipError extends BranchlineError {
  constructor(message = 'skipped by the task', options?: ErrorOptions) {
    super('TASK_SKIP', message, false, options)
  }
}

/** A command of a bash task ended with a failing exit code or by a signal, or could not be started. */
export class CommandError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('COMMAND', message, true, options)
  }
}

/** An attempt was ended from outside: it took too long, was cancelled, or its process shuts down. */
export class TaskAbortedError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('TASK_ABORTED', message, true, options)
  }
}

/** A configuration value that cannot be used, or a key that does not exist. */
export class ConfigError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('CONFIG', message, false, options)
  }
}

/** Something that was asked for by name does not exist; the message names the nearest that does. */
export class NotFoundError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('NOT_FOUND', message, false, options)
  }
}

/** What was asked for contradicts the present state (a run_id that exists, a run that has ended). */
export class ConflictError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('CONFLICT', message, false, options)
  }
}

/** A request whose input is not valid: a bad date, a params object that is no object. */
export class InvalidInputError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('INVALID_INPUT', message, false, options)
  }
}

/** Whoever asks may not: a web page of somebody else, or a name that the server does not go by. */
export class ForbiddenError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('FORBIDDEN', message, false, options)
  }
}

/** The token of a pod proves nothing: signed by somebody else, expired, or of a pod that the ledger does not have. */
export class UnauthenticatedError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('UNAUTHENTICATED', message, false, options)
  }
}

/** An attempt that speaks to the task execution API is not the current one of its task instance any more. */
export class AttemptNotCurrentError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('ATTEMPT_NOT_CURRENT', message, false, options)
  }
}

/** A fault of Branchline's own; the log of the program that says so has what happened. */
export class InternalError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('INTERNAL', message, false, options)
  }
}

/** Postgres refused, dropped or did not answer; the work is kept and done again. */
export class DatabaseUnavailableError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('DATABASE_UNAVAILABLE', message, true, options)
  }
}

/** A program that `branchline dev` starts beside itself ended before it was ready; its last words are in the message. */
export class ProgramError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('PROGRAM', message, false, options)
  }
}

/** The Postgres that `branchline dev` starts cannot be installed, started or adopted here. */
export class EmbeddedPostgresError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('EMBEDDED_POSTGRES', message, false, options)
  }
}

/** Nothing answers where the command line looks for the API, or what answers is something else. */
export class ApiUnreachableError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('API_UNREACHABLE', message, true, options)
  }
}

/** The API answered with an error for which there is no class here, such as one of a newer release. */
export class ApiError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('API', message, false, options)
  }
}

/** git ended with an error; the message carries git's own words and the remedy. */
export class GitError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('GIT', message, true, options)
  }
}

/** The packages of a source could not be installed; the message carries npm's own words. */
export class PackageInstallError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('PACKAGE_INSTALL', message, true, options)
  }
}

/**
 * An exechook failed, or a webhook's receiver did: it is run again after its backoff. Or the output of the gate
 * could not be kept: the sync fails, and the gate is asked again by the next one.
 */
export class HookError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('HOOK', message, true, options)
  }
}

/** The gate refused a commit, took too long or could not be started: the commit is not published, the one before it stays. */
export class GateError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('GATE', message, true, options)
  }
}

/** Credentials for a repository could not be had: a password file, an askpass URL or GitHub failed. This sync fails. */
export class CredentialsError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('CREDENTIALS', message, true, options)
  }
}

/**
 * The Kubernetes API server refused a call, or did not answer. The message names the call, its object and the server's
 * own words; whoever calls decides what it means by `status` and `reason`, never by the text.
 */
export class KubernetesError extends BranchlineError {
  /** HTTP status, or that of the ERROR event of a watch. Null where nothing answered: network, TLS, timeout. */
  readonly status: number | null
  /** `reason` of the server's Status object, such as `AlreadyExists`; '' where it gave none. */
  readonly reason: string
  /** How long the server asked to wait before the next try; null where it did not say. */
  readonly retryAfterMs: number | null

  constructor(
    message: string,
    options: ErrorOptions & {
      status?: number | null
      reason?: string
      retryAfterMs?: number | null
      /** Default: whether a server without load and faults might have answered otherwise. */
      retryable?: boolean
    } = {},
  ) {
    const status = options.status ?? null
    super(
      'KUBERNETES',
      message,
      options.retryable ?? (status === null || status === 429 || status >= 500),
      options,
    )
    this.status = status
    this.reason = options.reason ?? ''
    this.retryAfterMs = options.retryAfterMs ?? null
  }
}

/** A templated string names what the run does not have, or cannot be read: the task instance fails before its pod is made. */
export class TemplateError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('TEMPLATE', message, false, options)
  }
}

/** A pod that cannot be: its template, an override, the deployment's hook or its settings do not make one. */
export class PodSpecError extends BranchlineError {
  constructor(message: string, options?: ErrorOptions) {
    super('POD_SPEC', message, false, options)
  }
}

/** Each code of the catalogue, once. */
export const errorCatalogue = {
  DAG_DEFINITION: DagDefinitionError,
  TASK_FAIL: TaskFailError,
  TASK_SKIP: TaskSkipError,
  COMMAND: CommandError,
  TASK_ABORTED: TaskAbortedError,
  CONFIG: ConfigError,
  NOT_FOUND: NotFoundError,
  CONFLICT: ConflictError,
  INVALID_INPUT: InvalidInputError,
  FORBIDDEN: ForbiddenError,
  UNAUTHENTICATED: UnauthenticatedError,
  ATTEMPT_NOT_CURRENT: AttemptNotCurrentError,
  INTERNAL: InternalError,
  DATABASE_UNAVAILABLE: DatabaseUnavailableError,
  PROGRAM: ProgramError,
  EMBEDDED_POSTGRES: EmbeddedPostgresError,
  API_UNREACHABLE: ApiUnreachableError,
  API: ApiError,
  GIT: GitError,
  PACKAGE_INSTALL: PackageInstallError,
  HOOK: HookError,
  GATE: GateError,
  CREDENTIALS: CredentialsError,
  POD_SPEC: PodSpecError,
  KUBERNETES: KubernetesError,
  TEMPLATE: TemplateError,
} as const

/** The message of anything that was thrown, without its stack. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
