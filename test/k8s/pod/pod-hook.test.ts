import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { buildAttemptPod } from '../../../k8s/pod/attempt-pod.ts'
import { loadPodHook } from '../../../k8s/pod/pod-hook.ts'
import { ConfigError, PodSpecError } from '../../../runtime/errors.ts'
import { identityOf, podInput } from './inputs.ts'

const directory = mkdtempSync(join(tmpdir(), 'branchline-hook-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})

let count = 0
function hookFile(code: string, extension = 'mjs'): string {
  count += 1
  const path = join(directory, `hook-${count}.${extension}`)
  writeFileSync(path, code)
  return path
}

const pod = buildAttemptPod(podInput())
const hooked = async (code: string) => (await loadPodHook(hookFile(code)))(pod, identityOf())

test('a hook changes the pod that it is given, and the one that was handed in stays as it is', async () => {
  const before = structuredClone(pod)
  const changed = await hooked(
    'export default (pod) => { pod.spec.priorityClassName = "high"; pod.spec.enableServiceLinks = null }',
  )
  expect(changed.spec!.priorityClassName).toBe('high')
  expect(changed.spec).not.toHaveProperty('enableServiceLinks')
  expect(pod).toEqual(before)
})

test('a hook may return another pod, wait for something, and be TypeScript', async () => {
  const path = hookFile(
    `export default async (pod: { metadata: object }, ti: { dagId: string }) => {
       await null
       return { ...pod, metadata: { ...pod.metadata, namespace: ti.dagId } }
     }`,
    'mts',
  )
  const changed = await (await loadPodHook(path))(pod, identityOf())
  expect(changed.metadata!.namespace).toBe('daily-sales')
})

test('it is told the attempt, and nothing of the deployment', async () => {
  const changed = await hooked(
    'export default (pod, ti) => { pod.metadata.annotations.ti = JSON.stringify(ti) }',
  )
  expect(JSON.parse(changed.metadata!.annotations!.ti!)).toEqual({
    dagId: 'daily-sales',
    runId: 'scheduled__2026-01-05T06:00:00+00:00',
    taskId: 'etl.extract_orders',
    mapIndex: -1,
    tryNumber: 1,
    maxTries: 3,
    logicalDate: '2026-01-05T06:00:00.000Z',
    commitSha: identityOf().commitSha,
  })
})

test.each([
  ['export default () => { throw new Error("no quota") }', /hook-\d+\.mjs failed: no quota/],
  ['export default async () => { throw "plain" }', /failed: plain/],
  ['export default () => "pod"', /returned a string: return the pod, or nothing/],
  ['export default (pod) => [pod]', /returned a list/],
  [
    'export default (pod) => { pod.metadata.name = "mine" }',
    /the pod is named 'mine'.*leave the name as it is/,
  ],
  ['export default () => ({})', /the pod is named 'undefined'/],
  [
    'export default (pod) => { pod.spec.containers.reverse(); pod.spec.containers[0].name = "x" }',
    /'x'.*'base'/,
  ],
  ['export default (pod) => { delete pod.spec.containers[0].image }', /has no image/],
  [
    'export default (pod) => { delete pod.metadata.labels["branchline.dev/dag_id"] }',
    /the label branchline.dev\/dag_id is null/,
  ],
])('what a hook does wrong is told with its path: %s', async (code, message) => {
  const failed = hooked(code)
  await expect(failed).rejects.toThrow(message)
  await expect(failed).rejects.toThrow(PodSpecError)
})

test('a module that cannot be used stops the start', async () => {
  const missing = join(directory, 'missing.mjs')
  await expect(loadPodHook(missing)).rejects.toThrow(`pod_hook: ${missing} cannot be imported`)
  await expect(loadPodHook(hookFile('export const hook = 1'))).rejects.toThrow(
    /no function as its default export: export default \(pod, taskInstance\) => pod/,
  )
  await expect(loadPodHook(hookFile('throw new Error("at import")'))).rejects.toThrow(/at import/)
  await expect(loadPodHook(missing)).rejects.toThrow(ConfigError)
})
