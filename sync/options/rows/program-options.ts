// The program itself.
import type { OptionRow } from '../option-row.ts'

const group = 'Program'

export const programOptions = {
  verbose: {
    group,
    flag: 'verbose',
    short: 'v',
    env: 'GITSYNC_VERBOSE',
    type: 'int',
    default: 0,
    help: 'how much to log: from 5 on git commands, from 6 on their output',
  },
  unknownEnv: {
    group,
    flag: 'unknown-env',
    env: 'GITSYNC_UNKNOWN_ENV',
    type: 'string',
    default: 'error',
    choices: ['error', 'warn'],
    ours: true,
    help: 'what to do about variables that begin with GITSYNC_ or GIT_SYNC_ and that no option reads: error or warn',
    more: 'A misspelt variable would otherwise be a setting that is silently missing. Variables that Kubernetes makes for a Service named git-sync are let be.',
  },
} as const satisfies Record<string, OptionRow>
