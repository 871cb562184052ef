// What the parts of a sync say of themselves to those who measure, in words of ours. A part gets this interface
// and never asks whether metrics are on: without --http-metrics it speaks to `noMetrics`, and neither the library
// nor its memory is there.
import type { Phase } from '../sync-once.ts'

/** How a pass ended. `success`: it published, or was the first of its process; `noop`: nothing was new. */
export type SyncOutcome = 'success' | 'error' | 'noop'
/** How anything else ended. */
export type CallStatus = 'success' | 'error'
/** The names of hooks as git-sync's metrics have them. */
export type HookName = 'exechook' | 'pre-publish-exechook' | 'webhook'
/** What --gate-command said of a commit. */
export type GateStatus = 'passed' | 'refused'

export interface SyncMetrics {
  /** After each pass; also counts the failures in a row, and notes the time of a pass that succeeded. */
  syncFinished(status: SyncOutcome, seconds: number): void
  /** After a pass that came upon a commit which the gate newly refused: an error, but the syncs do not fail. */
  syncRefused(seconds: number): void
  /** The remote has another commit than is published, or this is the first pass of the process. */
  updateRequired(): void
  askpassCalled(status: CallStatus): void
  githubTokenRefreshed(status: CallStatus): void
  hookRan(name: HookName, status: CallStatus): void
  /** @param fetch.bytes what the fetch added to the repository */
  fetched(fetch: { bytes: number; seconds: number }): void
  /** A part of a pass ended, by success or not. */
  phase(name: Phase, seconds: number): void
  /** @param published.committedAt the commit's own time, milliseconds since the Unix epoch */
  published(published: { commit: string; committedAt: number }): void
  /** The --gate-command judged a commit. */
  gate(status: GateStatus): void
  /** The endpoint answers 200 from now on. */
  becameReady(): void
}

/** Where metrics are off. */
export const noMetrics: SyncMetrics = {
  syncFinished: () => {},
  syncRefused: () => {},
  updateRequired: () => {},
  askpassCalled: () => {},
  githubTokenRefreshed: () => {},
  hookRan: () => {},
  fetched: () => {},
  phase: () => {},
  published: () => {},
  gate: () => {},
  becameReady: () => {},
}
