// What may be asked of a running sync over HTTP.
import type { OptionRow } from '../option-row.ts'

const group = 'HTTP endpoint'

export const httpOptions = {
  httpBind: {
    group,
    flag: 'http-bind',
    env: 'GITSYNC_HTTP_BIND',
    oldEnv: ['GIT_SYNC_HTTP_BIND'],
    type: 'string',
    default: '',
    help: 'where to listen for HTTP, for instance :1234 or 127.0.0.1:1234 (default: nowhere)',
    more: 'See HTTP ENDPOINT below.',
  },
  httpMetrics: {
    group,
    flag: 'http-metrics',
    env: 'GITSYNC_HTTP_METRICS',
    oldEnv: ['GIT_SYNC_HTTP_METRICS'],
    type: 'bool',
    default: false,
    help: 'serve metrics for Prometheus at /metrics; needs --http-bind',
  },
  httpPprof: {
    group,
    flag: 'http-pprof',
    env: 'GITSYNC_HTTP_PPROF',
    oldEnv: ['GIT_SYNC_HTTP_PPROF'],
    type: 'bool',
    default: false,
    help: 'serve profiles of this program below /debug/pprof/; needs --http-bind',
  },
} as const satisfies Record<string, OptionRow>
