// git's failures as errors: git's own words, and what to do about them. git ends with 128 for nearly everything,
// so its words are all there is to tell one failure from another; they are read in English (LC_ALL=C), and only
// to choose the remedy, never to decide what sync does next.
import { GitError } from '../../runtime/errors.ts'

interface FailureKind {
  kind: string
  pattern: RegExp
  remedy: string
}

/** The first that matches counts, so the particular stands before the general. */
const failureKinds: readonly FailureKind[] = [
  {
    kind: 'host_key',
    pattern: /host key verification failed|no .* host key is known|remote host identification has changed/i,
    remedy:
      "Check that the SSH server is the one you mean, and put its key into the file of --ssh-known-hosts-file (ssh-keyscan prints it; compare it with what the server's owner publishes)",
  },
  {
    kind: 'ssh_key',
    pattern: /permission denied \([^)]*publickey|load key .*|too many authentication failures/i,
    remedy:
      'Check that --ssh-key-file names a private key that this user may read, without a passphrase, and that its public half may read the repository',
  },
  {
    kind: 'password',
    pattern:
      /authentication failed|could not read (username|password)|invalid credentials|http basic: access denied|returned error: 40[13]/i,
    remedy:
      'Check --username and the password (--password-file or GITSYNC_PASSWORD), and that the account may read the repository',
  },
  {
    kind: 'certificate',
    pattern: /ssl certificate problem|certificate verif|server certificate/i,
    remedy: 'Give git the certificate authority of the server, for instance by GIT_SSL_CAINFO',
  },
  {
    kind: 'ref_missing',
    pattern: /couldn't find remote ref|remote branch .* not found|not our ref|unadvertised object/i,
    remedy:
      'Check --ref: the branch or tag must exist in the repository and not be deleted; a commit must be given in full and be one that the server hands out',
  },
  {
    kind: 'host_unknown',
    pattern:
      /could not resolve (host|hostname|proxy)|name or service not known|temporary failure in name resolution/i,
    remedy: 'Check the name of the server in --repo, and that name resolution works here',
  },
  {
    kind: 'unreachable',
    pattern:
      /connection refused|failed to connect|couldn't connect|connection timed out|no route to host|network is unreachable|connection reset|unexpected disconnect|early eof|hung up unexpectedly|gnutls|rpc failed|connection closed/i,
    remedy:
      'Check host and port in --repo, and that the server runs and is reachable from here; sync tries again',
  },
  {
    kind: 'disk_full',
    pattern: /no space left on device|disk quota exceeded/i,
    remedy: 'Free space on the volume of --root; sync tries again',
  },
  {
    kind: 'root_denied',
    pattern:
      /(unable to create|could not create|cannot mkdir|could not open).*permission denied|read-only file system/i,
    remedy: 'Give this user the right to write in --root, and see that its volume is not mounted read-only',
  },
  {
    kind: 'repo_missing',
    pattern:
      /does not appear to be a git repository|repository .*not (found|exist)|not found|no such file or directory|does not exist|not a git repository|could not read from remote repository/i,
    remedy: 'Check --repo: the URL or path must be that of an existing repository which this account may see',
  },
]

const otherFailure = { kind: 'other', remedy: "Look up git's message above; sync tries again" }

/** Longer output says nothing more; a server may send any amount. */
const maxWordsLength = 2_000

/** How a git process ended badly. */
export interface GitFailure {
  /** What was tried, in our words: `fetch main from https://…`. */
  action: string
  /** null: ended by a signal. */
  exitCode: number | null
  /** git's output, secrets already replaced. */
  output: string
  /** Set where we ended it. */
  reason?: string
}

/** The error for a failed git process; `details.kind` names the kind of failure. */
export function gitError(failure: GitFailure): GitError {
  const words = trimmed(failure.output)
  const details = { exit_code: failure.exitCode, git_output: words }
  if (failure.reason !== undefined) {
    return new GitError(`git could not ${failure.action}: ${failure.reason}`, {
      details: { ...details, kind: 'ended' },
    })
  }
  const { kind, remedy } = failureKinds.find(({ pattern }) => pattern.test(words)) ?? otherFailure
  const how = failure.exitCode === null ? 'ended by a signal from outside' : `exit code ${failure.exitCode}`
  return new GitError(
    `git could not ${failure.action} (${how}): ${words === '' ? 'it said nothing' : words}\n${remedy}.`,
    { details: { ...details, kind } },
  )
}

/** The error for a git process that the system would not start: too many files or processes, no memory. */
export function gitStartError(action: string, error: NodeJS.ErrnoException): GitError {
  return new GitError(
    `git could not ${action}: it could not be started: ${error.message}\nRaise the limits of open files and processes (ulimit -n, ulimit -u) or of memory, or see what uses them up; sync tries again.`,
    { details: { exit_code: null, git_output: error.message, kind: otherFailure.kind }, cause: error },
  )
}

/** Without the banners that ssh and servers print around what matters, if something remains. */
function trimmed(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^@+$/.test(line))
  const text = lines.join('\n')
  // What went wrong stands at the end, after what a verbose ssh has to say.
  return text.length <= maxWordsLength ? text : `… ${text.slice(-maxWordsLength)}`
}
