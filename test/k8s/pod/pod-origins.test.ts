import { bash, dag, group } from 'branchline'
import { expect, test } from 'vitest'
import { overrideLayersOf } from '../../../k8s/pod/overrides-of.ts'
import { explainAttemptPod } from '../../../k8s/pod/pod-origins.ts'
import { parsePodTemplate } from '../../../k8s/pod/pod-template.ts'
import { parseYaml, toCommentedYaml } from '../../../k8s/yaml.ts'
import { gitSource, podInput, settingsOf } from './inputs.ts'

const { manifest } = dag(
  'daily',
  { podOverride: { spec: { priorityClassName: 'low', dnsPolicy: 'Default' } } },
  () => {
    group(
      'etl',
      { podOverride: { spec: { priorityClassName: 'high', tolerations: [{ key: 'a' }] } } },
      () => {
        bash('load', 'true', {
          podOverride: {
            spec: {
              dnsPolicy: 'Default',
              containers: [{ env: [{ name: 'TZ', value: 'UTC' }] }, { name: 'proxy', image: 'proxy:1' }],
            },
          },
        })
      },
    )
  },
)

const template = parsePodTemplate(
  `kind: Pod
metadata: { name: worker, labels: { team: data } }
spec:
  containers:
    - name: base
      image: template:1
      env: [{ name: LANG, value: C }, { name: TZ, value: CET }]
      securityContext: { runAsUser: 7 }
`,
  'x',
)

const explained = explainAttemptPod({
  ...podInput({ settings: settingsOf({ dagsSource: gitSource }), template }),
  overrides: overrideLayersOf(manifest, manifest.tasks[0]!),
  spot: {
    node_selector: { spot: 'yes' },
    tolerations: [{ key: 'spot' }],
    affinity: null,
    on_demand_attempts: 1,
  },
})

test('each value comes from the last layer that changed it', () => {
  const text = toCommentedYaml(explained.pod, explained.originOf)
  expect(parseYaml(text, 'commented')).toEqual(explained.pod)
  const lines = text.split('\n').map((line) => line.trim())
  for (const line of [
    'name: daily-sales-etl-extract-orders-fghduznh26fywrzp # generated',
    'namespace: dags # generated',
    'team: data # template',
    'priorityClassName: high # group etl',
    'dnsPolicy: Default # Dag',
    '- key: a # group etl',
    '- key: spot # spot',
    'spot: yes # spot',
    'image: registry.example/branchline-worker:1 # generated',
    'value: C # template',
    'value: UTC # task',
    'image: proxy:1 # task',
    'runAsUser: 7 # template',
    'readOnlyRootFilesystem: true # default',
    'enableServiceLinks: false # default',
  ]) {
    expect(lines.map((one) => one.replaceAll('"', ''))).toContain(line)
  }
  const values = text.split('\n').filter((line) => /[^:{}]$/.test(line) && !/ # [\w ]+$/.test(line))
  expect(values).toEqual([])
})

test('without a comment there is none', () => {
  expect(
    toCommentedYaml({ a: 1, b: [{ c: 'x' }, {}] }, (path) => (path[0] === 'b' ? path.join('.') : '')),
  ).toBe('a: 1\nb:\n  - c: x # b.0.c\n  - {}\n')
})
