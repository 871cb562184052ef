// An attempt of a task that is an operator, and the deployment that it belongs to.
import type { AttemptIdentity } from '../../../k8s/pod/attempt-identity.ts'
import type { PodSettings } from '../../../k8s/pod/pod-settings.ts'
import { templateVariables } from '../../../runtime/templates/template-variables.ts'

export const identity: AttemptIdentity = {
  deploymentId: '6f1ab1ba-19a2-4d4b-8a3e-5f2f33a3a111',
  dagRunId: 7,
  dagId: 'sales',
  runId: 'manual__2026-01-31T06:00:00+00:00',
  taskId: 'train',
  mapIndex: -1,
  tryNumber: 1,
  maxTries: 1,
  logicalDate: '2026-01-31T06:00:00.000Z',
  commitSha: 'a'.repeat(40),
  bundleHash: 'b'.repeat(64),
}
export const settings: PodSettings = {
  namespace: 'jobs',
  namespaces: ['jobs', 'team-a'],
  executionApiUrl: 'http://web:8080',
  image: 'worker:1',
  imagePullPolicy: null,
  imagePullSecrets: ['pull-worker'],
  serviceAccountName: 'worker',
  dagsPath: '/opt/branchline/dags',
  dagsSource: { type: 'image' },
  terminationGracePeriodSeconds: 30,
}
export const operatorVariables = (inputs: Record<string, string> = {}, params: object = {}) =>
  templateVariables({
    dag_id: 'sales',
    run_id: identity.runId,
    task_id: 'train',
    map_index: -1,
    try_number: 1,
    run_type: 'manual',
    logical_date: identity.logicalDate,
    data_interval_start: null,
    data_interval_end: null,
    params: JSON.stringify(params),
    inputs,
  })
