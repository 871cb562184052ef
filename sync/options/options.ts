// The one table of options: flag, environment variable, type, default, meaning. Parser, help and the reference
// page are made from it, so that an option that is here works and one that is not does not exist. Names, types
// and defaults are git-sync's; rows that are marked `ours` are not, and are kept few.

type OptionType = 'string' | 'strings' | 'int' | 'bool' | 'duration'

export interface OptionRow {
  /** Without its dashes; absent: the option exists only in the environment. */
  flag?: string
  /** One letter. */
  short?: string
  env: string
  type: OptionType
  /** Durations in milliseconds. */
  default: string | readonly string[] | number | boolean
  /** Masked wherever options are printed. */
  secret?: boolean
  help: string
}

export const optionTable = {
  repo: {
    flag: 'repo',
    env: 'GITSYNC_REPO',
    type: 'string',
    default: '',
    help: 'the repository to sync: anything that `git fetch` takes (required). User info in an http(s) URL is split off and used as --username and password',
  },
  ref: {
    flag: 'ref',
    env: 'GITSYNC_REF',
    type: 'string',
    default: 'HEAD',
    help: 'the branch, tag or full commit hash to publish',
  },
  depth: {
    flag: 'depth',
    env: 'GITSYNC_DEPTH',
    type: 'int',
    default: 1,
    help: 'how many commits of history to fetch; 0 fetches all',
  },
  root: {
    flag: 'root',
    env: 'GITSYNC_ROOT',
    type: 'string',
    default: '',
    help: 'the directory that holds the repository, its worktrees and the link (required). It belongs to sync',
  },
  link: {
    flag: 'link',
    env: 'GITSYNC_LINK',
    type: 'string',
    default: '',
    help: 'the symbolic link to publish, absolute or relative to --root; its target is named by the commit (default: the last part of --repo)',
  },
  errorFile: {
    flag: 'error-file',
    env: 'GITSYNC_ERROR_FILE',
    type: 'string',
    default: '',
    help: 'a file, absolute or relative to --root, that holds the latest error while there is one',
  },
  touchFile: {
    flag: 'touch-file',
    env: 'GITSYNC_TOUCH_FILE',
    type: 'string',
    default: '',
    help: 'a file, absolute or relative to --root, whose time is set whenever a commit was published',
  },
  period: {
    flag: 'period',
    env: 'GITSYNC_PERIOD',
    type: 'duration',
    default: 10_000,
    help: 'how long to wait between syncs, from the end of one to the beginning of the next; at least 10ms',
  },
  syncTimeout: {
    flag: 'sync-timeout',
    env: 'GITSYNC_SYNC_TIMEOUT',
    type: 'duration',
    default: 120_000,
    help: 'how long one sync may take before git is ended and the sync counts as failed; at least 10ms',
  },
  oneTime: {
    flag: 'one-time',
    env: 'GITSYNC_ONE_TIME',
    type: 'bool',
    default: false,
    help: 'exit after the first sync that succeeds',
  },
  syncOnSignal: {
    flag: 'sync-on-signal',
    env: 'GITSYNC_SYNC_ON_SIGNAL',
    type: 'string',
    default: '',
    help: 'sync at once when this signal comes: a name (SIGHUP, HUP) or a number',
  },
  maxFailures: {
    flag: 'max-failures',
    env: 'GITSYNC_MAX_FAILURES',
    type: 'int',
    default: 0,
    help: 'exit when this many syncs have failed one after the other (0 and 1: at the first); negative: never',
  },
  staleWorktreeTimeout: {
    flag: 'stale-worktree-timeout',
    env: 'GITSYNC_STALE_WORKTREE_TIMEOUT',
    type: 'duration',
    default: 0,
    help: 'how long to keep a worktree after another commit was published in its place; one that a reader holds by a lease is kept longer',
  },
  username: {
    flag: 'username',
    env: 'GITSYNC_USERNAME',
    type: 'string',
    default: '',
    help: 'the user name for an http(s) repository; needs --password-file or GITSYNC_PASSWORD',
  },
  password: {
    env: 'GITSYNC_PASSWORD',
    type: 'string',
    default: '',
    secret: true,
    help: 'the password or personal access token for an http(s) repository',
  },
  passwordFile: {
    flag: 'password-file',
    env: 'GITSYNC_PASSWORD_FILE',
    type: 'string',
    default: '',
    help: 'a file with the password; read again at every sync, so that it may be replaced at any time',
  },
  sshKeyFile: {
    flag: 'ssh-key-file',
    env: 'GITSYNC_SSH_KEY_FILE',
    type: 'strings',
    default: ['/etc/git-secret/ssh'],
    help: 'a private key for SSH; may be given several times (the variable: separated by colons)',
  },
  sshKnownHosts: {
    flag: 'ssh-known-hosts',
    env: 'GITSYNC_SSH_KNOWN_HOSTS',
    type: 'bool',
    default: true,
    help: "refuse an SSH server whose key is not in --ssh-known-hosts-file; with =false any server's key is taken",
  },
  sshKnownHostsFile: {
    flag: 'ssh-known-hosts-file',
    env: 'GITSYNC_SSH_KNOWN_HOSTS_FILE',
    type: 'string',
    default: '/etc/git-secret/known_hosts',
    help: 'the keys of the SSH servers that are to be trusted',
  },
  git: {
    flag: 'git',
    env: 'GITSYNC_GIT',
    type: 'string',
    default: 'git',
    help: 'the git command to run: a path, or a name to look up in PATH',
  },
  httpBind: {
    flag: 'http-bind',
    env: 'GITSYNC_HTTP_BIND',
    type: 'string',
    default: '',
    help: 'where to listen for HTTP, for instance :1234 or 127.0.0.1:1234. GET / tells whether a commit is published (200 or 503); POST /sync from this machine syncs at once',
  },
  verbose: {
    flag: 'verbose',
    short: 'v',
    env: 'GITSYNC_VERBOSE',
    type: 'int',
    default: 0,
    help: 'how much to log: from 5 on git commands, from 6 on their output',
  },
} as const satisfies Record<string, OptionRow>

export type OptionName = keyof typeof optionTable

interface ValueOf {
  string: string
  strings: readonly string[]
  int: number
  bool: boolean
  /** Milliseconds. */
  duration: number
}

/** Every option's value; durations in milliseconds. */
export type SyncOptions = { [Name in OptionName]: ValueOf[(typeof optionTable)[Name]['type']] }

/** The rows of the table with their names, in the order of the table. */
export const optionRows: readonly (readonly [OptionName, OptionRow])[] = Object.entries(optionTable) as [
  OptionName,
  OptionRow,
][]
