// git itself: which one, its configuration, its housekeeping.
import type { OptionRow } from '../option-row.ts'

const group = 'git'

export const gitOptions = {
  git: {
    group,
    flag: 'git',
    env: 'GITSYNC_GIT',
    oldEnv: ['GIT_SYNC_GIT'],
    type: 'string',
    default: 'git',
    help: 'the git command to run: a path, or a name to look up in PATH',
  },
  gitConfig: {
    group,
    flag: 'git-config',
    env: 'GITSYNC_GIT_CONFIG',
    oldEnv: ['GIT_SYNC_GIT_CONFIG'],
    type: 'git-config',
    default: '',
    secret: true,
    help: 'configuration for git: pairs key:value, separated by commas (default: none)',
    more: `Keys and values may be quoted: "http.https://example.com/.proxy":"http://proxy:3128". A key with a colon must be, and so must an empty value. In quoted keys and in all values \\n is a line break, \\t a tab, and \\" \\, \\\\ are the second character; other escapes are errors. A comma ends a value that is not quoted. Spaces count.`,
  },
  gitConfigAdd: {
    group,
    flag: 'git-config-add',
    type: 'git-config',
    default: '',
    repeats: true,
    secret: true,
    help: 'more of the same, set after --git-config; may be given several times',
  },
  gitGc: {
    group,
    flag: 'git-gc',
    env: 'GITSYNC_GIT_GC',
    oldEnv: ['GIT_SYNC_GIT_GC'],
    type: 'string',
    default: 'always',
    choices: ['auto', 'always', 'aggressive', 'off'],
    help: 'how to tidy the repository after commits were removed: auto, always, aggressive or off',
    more: 'auto runs `git gc --auto`, always `git gc`, aggressive `git gc --aggressive`, which may take long (see --sync-timeout).',
  },
} as const satisfies Record<string, OptionRow>
