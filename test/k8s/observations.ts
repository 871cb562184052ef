// Pods as they are seen, for tests: a pod that waits on a node, with what differs.
import type { ContainerObservation, PodObservation } from '../../k8s/pod-observation.ts'

/** When everything in them happened. */
export const at = '2026-01-02T03:04:05Z'

export function container(name: string, more: Partial<ContainerObservation> = {}): ContainerObservation {
  return {
    name,
    state: 'waiting',
    reason: 'PodInitializing',
    message: null,
    exit_code: null,
    signal: null,
    started_at: null,
    finished_at: null,
    restart_count: 0,
    last_reason: null,
    ...more,
  }
}

export const running = (name: string, more: Partial<ContainerObservation> = {}) =>
  container(name, { state: 'running', reason: null, started_at: at, ...more })

export const ended = (
  name: string,
  exitCode: number,
  reason: string | null,
  more: Partial<ContainerObservation> = {},
) =>
  container(name, {
    state: 'terminated',
    reason,
    exit_code: exitCode,
    started_at: at,
    finished_at: at,
    ...more,
  })

export function pod(more: Partial<PodObservation>): PodObservation {
  return {
    name: 'daily-extract-1',
    uid: 'u',
    resource_version: '1',
    attempt_id: null,
    phase: 'Pending',
    reason: null,
    message: null,
    node_name: 'node-1',
    created_at: at,
    deletion_timestamp: null,
    is_deleted: false,
    unschedulable: null,
    disruption: null,
    init_containers: [],
    containers: [container('base')],
    ...more,
  }
}
