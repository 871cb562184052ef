// The task execution API as JSON: what an attempt in a pod says to the server, and what it is told. The server finds
// the attempt by the pod's own token (see k8s/pod-identity.ts), so no request names one. A request of an attempt that
// is not the current one of its task instance any more is answered with 410 and changes nothing.
//
//   POST /execution/start      StartRequest → StartAnswer      may be repeated; the answer is the same
//   GET  /execution/bundle     → the bundle's code, text/javascript
//   POST /execution/heartbeat  HeartbeatRequest → HeartbeatAnswer
//   POST /execution/logs?offset=N   whole lines of the attempt's log (newline-delimited JSON) → LogsAnswer
//   POST /execution/finish     FinishRequest → {}              may be repeated; the first one counts
//   PUT  /execution/xcom       the result of an operator's pod: JSON text, or nothing → {}; the first one counts
import type { AttemptOrder, CancelReason, FinishReport } from './task-runner/protocol.ts'

export interface StartRequest {
  /** Milliseconds since the epoch, by the pod's clock. */
  start_ms: number
  /** Name of the machine as the attempt sees it: the pod's. */
  hostname: string
  pid: number
}

export interface StartAnswer {
  /** All of an order but what only the pod knows: its own paths, and the token that no pod needs. */
  order: Omit<AttemptOrder, 'token' | 'bundle_path' | 'source_path' | 'log_path'>
  heartbeat_interval_ms: number
  xcom_max_bytes: number
  /** How long an attempt that is to end may clean up before it is killed with its children. */
  kill_grace_ms: number
  /** How many bytes of the log the server has: a container that was started again goes on behind them. */
  log_bytes: number
}

export interface HeartbeatRequest {
  /** Highest use of memory by the container so far; null where it cannot be told. */
  memory_peak_bytes: number | null
}

export interface HeartbeatAnswer {
  /** Somebody asked the attempt to end. */
  cancel: CancelReason | null
}

export interface LogsAnswer {
  /**
   * Bytes of the log that the server has now. Lines that it had already are not kept twice, and where `offset` was
   * beyond what it has nothing was kept: go on from here.
   */
  log_bytes: number
}

export interface FinishRequest
  extends Pick<
    FinishReport,
    'state' | 'retryable' | 'result' | 'error' | 'exit_code' | 'start_ms' | 'end_ms'
  > {
  /** Of `result`'s UTF-8 bytes, hexadecimal; null where there is no result. */
  result_sha256: string | null
  memory_peak_bytes: number | null
}

/** Environment variables of the container `base`; no settings of a deployment. */
export const workerVariables = {
  /** Where the API is, as the pod reaches it. */
  executionApiUrl: 'BRANCHLINE_EXECUTION_API_URL',
  /** File with the pod's token, renewed by the kubelet: to be read for each request. */
  tokenFile: 'BRANCHLINE_TOKEN_FILE',
  /** Directory with the Dags: a root of sync, or the plain files. */
  dagsPath: 'BRANCHLINE_DAGS_PATH',
  /** Directory that the attempt may write in: log, bundle, runner. */
  spoolPath: 'BRANCHLINE_SPOOL_PATH',
  /** Directory with the result of an operator's pod; of its sidecar alone. */
  xcomPath: 'BRANCHLINE_XCOM_PATH',
} as const

/** Of PUT /execution/xcom: the SHA-256 of the body, hexadecimal; without a body there is none. */
export const xcomDigestHeader = 'x-content-sha256'

/** Audience of the pods' tokens. */
export const tokenAudience = 'branchline'
