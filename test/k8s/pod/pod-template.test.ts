import { expect, test } from 'vitest'
import { parsePodTemplate, templateFault } from '../../../k8s/pod/pod-template.ts'
import { PodSpecError } from '../../../runtime/errors.ts'

const template = `# of the data team
apiVersion: v1
kind: Pod
metadata:
  name: worker
spec:
  containers:
    - name: base
      image: registry.example/worker:1
`

test('the YAML of a pod is a template', () => {
  expect(parsePodTemplate(template, 'pods/worker.yaml')).toEqual({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'worker' },
    spec: { containers: [{ name: 'base', image: 'registry.example/worker:1' }] },
  })
  expect(templateFault(template, 'pods/worker.yaml')).toBe(null)
})

test('it is read as kubectl reads it: modes are octal, and what is quoted is text', () => {
  const text = `${template}  volumes:
    - name: keys
      secret: { secretName: keys, defaultMode: 0400 }
    - name: more
      configMap: { name: more, defaultMode: 0o440 }
    - name: quoted
      csi: { driver: d, volumeAttributes: { mode: '0400' } }
`
  const { volumes } = parsePodTemplate(text, 'x').spec!
  expect(volumes![0]!.secret!.defaultMode).toBe(0o400)
  expect(volumes![1]!.configMap!.defaultMode).toBe(0o440)
  expect(volumes![2]!.csi!.volumeAttributes).toEqual({ mode: '0400' })
})

test.each<[string, string, number, RegExp]>([
  ['no YAML', template.replace('metadata:', 'metadata: ['), 6, /is not YAML/],
  ['a key twice', `${template}kind: Pod\n`, 10, /unique/],
  ['several documents', `${template}---\n${template}`, 10, /multiple documents/],
  ['nothing', '', 1, /it is no pod: write apiVersion: v1, kind: Pod/],
  ['a list', '- a\n', 1, /it is no pod/],
  ['another kind', template.replace('kind: Pod', 'kind: Deployment'), 3, /"Deployment": write kind: Pod/],
  ['no kind', template.replace('kind: Pod\n', ''), 2, /it has no kind/],
  ['another version', template.replace(': v1', ': apps/v1'), 2, /apiVersion is "apps\/v1": write v1/],
  ['no metadata', template.replace('metadata:\n  name: worker\n', ''), 2, /no metadata.name: give it one/],
  ['no name', template.replace('name: worker', 'labels: { a: b }'), 5, /no metadata.name/],
  ['no spec', template.slice(0, template.indexOf('spec:')), 2, /no containers/],
  ['an empty list', `${template.slice(0, template.indexOf('    -'))}    []\n`, 8, /no containers/],
  ['another first container', template.replace('name: base', 'name: main'), 8, /"main".*name it base/],
  ['a container without a name', template.replace('name: base\n', 'tty: true\n'), 8, /null.*name it base/],
])('a template is refused with file, line and what to do: %s', (_, text, line, message) => {
  const fault = templateFault(text, 'pods/worker.yaml')
  expect(fault).toMatch(message)
  expect(fault).toContain('pods/worker.yaml')
  expect(fault).toContain(`line ${line}`)
  expect(() => parsePodTemplate(text, 'pods/worker.yaml')).toThrow(PodSpecError)
})

test('base needs an image of its own only where worker_image is not set', () => {
  const text = template.replace('      image: registry.example/worker:1\n', '')
  expect(templateFault(text, 'w.yaml', { hasWorkerImage: true })).toBe(null)
  expect(templateFault(text, 'w.yaml', { hasWorkerImage: false })).toBe(
    'pod template w.yaml, line 8: its container base has no image, and worker_image is not set: give it one of the two',
  )
})
