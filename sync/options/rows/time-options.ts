// When a sync is made, how long it may take, and how many may fail.
import type { OptionRow } from '../option-row.ts'

const group = 'Time and failures'

export const timeOptions = {
  period: {
    group,
    flag: 'period',
    env: 'GITSYNC_PERIOD',
    oldEnv: ['GIT_SYNC_PERIOD'],
    type: 'duration',
    default: 10_000,
    help: 'how long to wait between syncs, from the end of one to the beginning of the next; at least 10ms',
  },
  initPeriod: {
    group,
    flag: 'init-period',
    env: 'GITSYNC_INIT_PERIOD',
    type: 'duration',
    default: 0,
    help: 'how long to wait between attempts until the first has succeeded; at least 10ms, or 0 for that of --period',
  },
  syncTimeout: {
    group,
    flag: 'sync-timeout',
    env: 'GITSYNC_SYNC_TIMEOUT',
    oldEnv: ['GIT_SYNC_SYNC_TIMEOUT'],
    type: 'duration',
    default: 120_000,
    help: 'how long one sync may take before git is ended and the sync counts as failed; at least 10ms',
  },
  oneTime: {
    group,
    flag: 'one-time',
    env: 'GITSYNC_ONE_TIME',
    oldEnv: ['GIT_SYNC_ONE_TIME'],
    type: 'bool',
    default: false,
    help: 'exit after the first sync that succeeds',
    more: 'Each hook is run once and waited for; one that fails makes the exit code 1. How many syncs may fail is said by --max-failures.',
  },
  syncOnSignal: {
    group,
    flag: 'sync-on-signal',
    env: 'GITSYNC_SYNC_ON_SIGNAL',
    oldEnv: ['GIT_SYNC_SYNC_ON_SIGNAL'],
    type: 'string',
    default: '',
    help: 'sync at once when this signal comes: a name (SIGHUP, HUP) or a number (default: none)',
    more: 'A signal that comes during a sync makes another one follow.',
  },
  maxFailures: {
    group,
    flag: 'max-failures',
    env: 'GITSYNC_MAX_FAILURES',
    oldEnv: ['GIT_SYNC_MAX_FAILURES'],
    type: 'int',
    default: 0,
    help: 'exit when this many syncs have failed one after the other (0 and 1: at the first); negative: never',
  },
  initMaxFailures: {
    group,
    flag: 'init-max-failures',
    env: 'GITSYNC_INIT_MAX_FAILURES',
    type: 'optional-int',
    default: undefined,
    help: 'the same until the first sync has succeeded (default: --max-failures)',
  },
} as const satisfies Record<string, OptionRow>
