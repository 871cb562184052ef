// An attempt and a deployment for tests of pods; each test says what is different in its own.

import type { AttemptIdentity } from '../../../k8s/pod/attempt-identity.ts'
import type { AttemptPodInput } from '../../../k8s/pod/attempt-pod.ts'
import type { DagsSource, PodSettings } from '../../../k8s/pod/pod-settings.ts'
import { notMapped } from '../../../runtime/ids.ts'
import type { PodOverride } from '../../../runtime/pod-override.ts'

export const commitSha = '9fceb02d0ae598e95dc970b74767f19372d61af8'

export function identityOf(own: Partial<AttemptIdentity> = {}): AttemptIdentity {
  return {
    deploymentId: 'prod',
    dagRunId: 12,
    dagId: 'daily-sales',
    runId: 'scheduled__2026-01-05T06:00:00+00:00',
    taskId: 'etl.extract_orders',
    mapIndex: notMapped,
    tryNumber: 1,
    maxTries: 3,
    logicalDate: '2026-01-05T06:00:00.000Z',
    commitSha,
    bundleHash: '6d0a4ff2c1f8b1f2ae0a9c4a2b9b9bd5a2ffb2e8f0f6f2c7a3d55a4a1cbbd8e0',
    ...own,
  }
}

export const gitSource: Extract<DagsSource, { type: 'git' }> = {
  type: 'git',
  image: 'registry.example/branchline-sync:1',
  repo: 'https://git.example/team/dags.git',
  depth: 1,
  submodules: 'recursive',
  credentialsSecret: null,
  sshKeySecret: null,
  knownHostsConfigMap: null,
}

export function settingsOf(own: Partial<PodSettings> = {}): PodSettings {
  return {
    namespace: 'dags',
    namespaces: ['dags', 'heavy'],
    executionApiUrl: 'http://branchline-web.branchline.svc:8080',
    image: 'registry.example/branchline-worker:1',
    imagePullPolicy: null,
    imagePullSecrets: [],
    serviceAccountName: null,
    dagsPath: '/opt/branchline/dags',
    dagsSource: { type: 'image' },
    terminationGracePeriodSeconds: 45,
    ...own,
  }
}

export function podInput(own: Partial<AttemptPodInput> = {}): AttemptPodInput {
  return {
    identity: identityOf(),
    settings: settingsOf(),
    template: null,
    overrides: [],
    spot: null,
    ...own,
  }
}

/** An override of the container `base` alone. */
export function ofBase(
  container: NonNullable<NonNullable<PodOverride['spec']>['containers']>[number],
): PodOverride {
  return { spec: { containers: [container] } }
}
