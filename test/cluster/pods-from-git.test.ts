// The whole way, on a real cluster: a push to a Git server, the Dag live, its tasks in pods whose init container
// pulled the run's very commit, their logs kept, and the pods gone.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, connectCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../support/kubernetes-deployment.ts'

const hello = (revision: string) => ({
  'dags/hello.ts': `
    import { readFileSync } from 'node:fs'
    import { join } from 'node:path'
    import { dag, task } from 'branchline'
    import { revision } from './revision.ts'

    export default dag('hello', { params: { wait_ms: 1_500 } }, () => {
      const said = task('say', async ({ log, params }) => {
        log.info('revision ' + revision + ', file ' + readFileSync(join(import.meta.dirname, 'data.txt'), 'utf8').trim())
        await new Promise((done) => setTimeout(done, params.wait_ms))
        return { revision }
      })
      task('repeat', { said }, ({ said }, { log }) => log.info('it said ' + said.revision))
    })`,
  'dags/revision.ts': `export const revision = '${revision}'\n`,
  'dags/data.txt': `${revision}\n`,
})

let cluster: Cluster
let deployment: KubernetesDeployment

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({ cluster, files: hello('one') })
  await schedulerReady(deployment)
})
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
})

const messages = (runId: string, taskId: string) =>
  deployment.log('hello', runId, taskId).map(({ msg }) => msg)

test('a task runs in a pod, from the commit of its run, and its pod goes when it has ended', async () => {
  await deployment.trigger('hello', 'first')
  const seen = new Set<string>()
  const watching = new AbortController()
  const watch = (async () => {
    while (!watching.signal.aborted) for (const { phase } of await deployment.pods()) seen.add(phase)
  })()
  expect(await deployment.ended('hello', 'first', 60_000)).toBe('success')
  await eventually('the pods are gone', async () => (await deployment.pods()).length === 0, 30_000)
  watching.abort()
  await watch
  expect(messages('first', 'say')).toEqual(['revision one, file one'])
  expect(messages('first', 'repeat')).toEqual(['it said one'])
  expect([...seen].sort()).toEqual(['Pending', 'Running', 'Succeeded'])
})
