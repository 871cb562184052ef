// Whole pods as they are sent, one for each way that a deployment may be set up: their YAML is in golden/, for people
// to read, and a real API server is asked about each (test/cluster/pod-dry-run.test.ts).
import { type AttemptPodInput, buildAttemptPod } from '../../../k8s/pod/attempt-pod.ts'
import { parsePodTemplate } from '../../../k8s/pod/pod-template.ts'
import { toYaml } from '../../../k8s/yaml.ts'
import { gitSource, identityOf, podInput, settingsOf } from './inputs.ts'

const template = `apiVersion: v1
kind: Pod
metadata:
  name: worker
  labels:
    team: data
spec:
  priorityClassName: system-node-critical
  terminationGracePeriodSeconds: 120
  securityContext:
    runAsUser: 50000
    fsGroup: 50000
  nodeSelector:
    pool: batch
  initContainers:
    - name: git-sync-clone
      resources:
        limits: { memory: 256Mi }
  containers:
    - name: base
      image: registry.example/from-template:1
      env:
        - name: TZ
          value: UTC
      resources:
        requests: { cpu: 250m, memory: 256Mi }
      volumeMounts:
        - name: cache
          mountPath: /tmp
  volumes:
    - name: cache
      emptyDir: { sizeLimit: 1Gi }
`

const inputs: Record<string, AttemptPodInput> = {
  'git-by-https': podInput({
    settings: settingsOf({
      dagsSource: { ...gitSource, credentialsSecret: 'git-credentials' },
      imagePullPolicy: 'IfNotPresent',
      imagePullSecrets: ['registry'],
      serviceAccountName: 'worker',
    }),
  }),
  'git-by-ssh': podInput({
    identity: identityOf({ mapIndex: 7, tryNumber: 2 }),
    settings: settingsOf({
      dagsSource: {
        ...gitSource,
        repo: 'git@git.example:team/dags.git',
        depth: 0,
        submodules: 'off',
        sshKeySecret: 'git-ssh-key',
        knownHostsConfigMap: 'git-known-hosts',
      },
    }),
  }),
  'template-and-overrides': podInput({
    settings: settingsOf({ image: null, dagsSource: gitSource }),
    template: parsePodTemplate(template, 'worker.yaml'),
    overrides: [
      { metadata: { labels: { 'cost-center': 'sales' } }, spec: { priorityClassName: null } },
      { spec: { containers: [{ env: [{ name: 'TZ', value: 'Europe/Berlin' }] }] } },
      {
        spec: {
          containers: [
            { name: 'base', resources: { limits: { memory: '2Gi' } } },
            {
              name: 'proxy',
              image: 'registry.example/proxy:3',
              ports: [{ containerPort: 5432 }],
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
            },
          ],
          tolerations: [{ key: 'batch', operator: 'Exists', effect: 'NoSchedule' }],
        },
      },
    ],
  }),
  'claim-on-spot-nodes': podInput({
    settings: settingsOf({ dagsSource: { type: 'volume_claim', claim: 'dags', subPath: 'team' } }),
    overrides: [{ metadata: { namespace: 'heavy' }, spec: { nodeSelector: { arch: 'arm64' } } }],
    spot: {
      node_selector: { 'node.example/lifecycle': 'spot' },
      tolerations: [{ key: 'spot', operator: 'Exists', effect: 'NoSchedule' }],
      affinity: null,
      on_demand_attempts: 1,
    },
  }),
  'in-the-image': podInput(),
}

export const goldenPods = Object.entries(inputs).map(([name, input]) => {
  const pod = buildAttemptPod(input)
  return { name, pod, yaml: toYaml(pod) }
})
