// Where things are on disk, and whose they are.
import type { OptionRow } from '../option-row.ts'

const group = 'Files and directories'

export const fileOptions = {
  root: {
    group,
    flag: 'root',
    env: 'GITSYNC_ROOT',
    oldEnv: ['GIT_SYNC_ROOT'],
    type: 'string',
    default: '',
    help: 'the directory that holds the repository, its worktrees and the link (required); it belongs to sync',
    more: 'It is made where it does not exist. What else is in it is left alone, but for .worktrees and what stands in the place of the link.',
  },
  link: {
    group,
    flag: 'link',
    env: 'GITSYNC_LINK',
    oldEnv: ['GIT_SYNC_LINK'],
    type: 'string',
    default: '',
    help: 'the symbolic link to publish, absolute or relative to --root (default: the last part of --repo, .git included)',
    more: 'Its target is a directory with the files of a commit, named by the full hash. Consumers read through this link; it is changed by a rename, so that it is always valid.',
  },
  errorFile: {
    group,
    flag: 'error-file',
    env: 'GITSYNC_ERROR_FILE',
    oldEnv: ['GIT_SYNC_ERROR_FILE'],
    type: 'string',
    default: '',
    help: 'a file, absolute or relative to --root, that holds the latest error while there is one (default: none)',
    more: 'A JSON object {"Msg", "Err", "Args"}; or the bare message, where the options are wrong. It is removed by the next sync that succeeds.',
  },
  touchFile: {
    group,
    flag: 'touch-file',
    env: 'GITSYNC_TOUCH_FILE',
    oldEnv: ['GIT_SYNC_TOUCH_FILE'],
    type: 'string',
    default: '',
    help: 'a file, absolute or relative to --root, whose time is set whenever a commit was published (default: none)',
    more: 'Also at the first success of each process.',
  },
  groupWrite: {
    group,
    flag: 'group-write',
    env: 'GITSYNC_GROUP_WRITE',
    oldEnv: ['GIT_SYNC_GROUP_WRITE'],
    type: 'bool',
    default: false,
    help: 'make everything writable by the group too (umask 0002 in place of 0022)',
  },
  staleWorktreeTimeout: {
    group,
    flag: 'stale-worktree-timeout',
    env: 'GITSYNC_STALE_WORKTREE_TIMEOUT',
    type: 'duration',
    default: 0,
    help: 'how long to keep the files of a commit after another was published in its place; what a reader holds by a lease is kept longer',
  },
  addUser: {
    group,
    flag: 'add-user',
    env: 'GITSYNC_ADD_USER',
    oldEnv: ['GIT_SYNC_ADD_USER'],
    type: 'bool',
    default: false,
    help: 'add an entry for the current user to /etc/passwd, which SSH needs, where there is none',
    more: 'For containers that run as an arbitrary user id. /etc/passwd must be writable.',
  },
} as const satisfies Record<string, OptionRow>
