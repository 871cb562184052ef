// Pains 21, 22, 27 and 28: a log of 100 MB, a result of 50 MB, a disk that is full. What is taken is whole, to the byte;
// what cannot be kept is said.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { attemptLogPath } from '../../../runtime/log-line.ts'
import { type Cluster, connectCluster } from '../../support/cluster.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../../support/kubernetes-deployment.ts'
import { endsOf, explainFailure, podsGone, quickRetries, taskLines } from './pains.ts'

const lineCount = 600_000
const resultBytes = 50_000_000

const files = {
  'dags/large.ts': `
    import { createHash } from 'node:crypto'
    import { writeFileSync } from 'node:fs'
    import { dag, task } from 'branchline'

    const hashOf = (text) => createHash('sha256').update(text).digest('hex')
    const volume = (name, emptyDir) => ({ spec: { volumes: [{ name, emptyDir }] } })

    export default dag('large', {}, () => {
      task('log', { retries: 0 }, async ({ log }) => {
        for (let n = 1; n <= ${lineCount}; n += 1) log.info('line ' + n + ' ' + 'x'.repeat(100))
      })
      const text = task('result', { retries: 0 }, ({ log }) => {
        const text = Array.from({ length: ${resultBytes / 10} }, (_, n) => String(n).padStart(9, '"') + '\\u00e9').join('').slice(0, ${(resultBytes / 10) * 9})
        log.info(hashOf(text))
        return text
      })
      task('takes_result', { text }, ({ text }, { log }) => log.info(hashOf(text)))
      task('spool_full', { retries: 0, podOverride: volume('branchline-spool', { medium: 'Memory', sizeLimit: '4Mi' }) }, ({ log }) => {
        for (let n = 1; n <= 100_000; n += 1) log.info('line ' + n + ' ' + 'x'.repeat(100))
      })
      task('disk_full', { retries: 0, podOverride: volume('branchline-tmp', { sizeLimit: '4Mi' }) }, async ({ tryNumber }) => {
        if (tryNumber > 1) return
        writeFileSync('/tmp/much', Buffer.alloc(32 * 1024 * 1024, 1))
        await new Promise((done) => setTimeout(done, 120_000))
      })
    })`,
}

let cluster: Cluster
let deployment: KubernetesDeployment

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({
    cluster,
    files,
    env: { ...quickRetries, BRANCHLINE_XCOM_MAX_BYTES: '128MiB' },
  })
  await schedulerReady(deployment)
}, 120_000)
beforeEach(() => explainFailure(deployment))
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
})

test('logs and results of any size are kept to the byte, and a full disk is the reason where there is no room', async () => {
  await deployment.trigger('large', 'one')
  expect(await deployment.ended('large', 'one', 240_000)).toBe('failed')
  const ends = await endsOf(deployment, 'large', 'one')

  const written = await writtenOf('log')
  expect.soft(written).toEqual({ first: 1, last: lineCount, count: lineCount, faults: [] })
  expect.soft(ends.get('log')).toMatchObject({ state: 'success' })

  const [hash] = taskLines(deployment, 'large', 'one', 'result')
  expect.soft(hash).toMatch(/^[0-9a-f]{64}$/)
  expect.soft(taskLines(deployment, 'large', 'one', 'takes_result')).toEqual([hash])

  const full = ends.get('spool_full')!
  expect.soft(full.error).toMatch(/no space is left on the disk/)
  const kept = await writtenOf('spool_full')
  // The last line is cut where the disk was full.
  expect.soft(kept).toMatchObject({ first: 1, faults: [expect.stringMatching(/"msg":"line \d+ x*$/)] })
  expect.soft(kept.count).toBeGreaterThan(10_000)

  const [evicted] = (await deployment.attempts('large', 'one')).filter(
    ({ task_id }) => task_id === 'disk_full',
  )
  expect.soft(evicted!.error?.message).toMatch(/EmptyDir.*limit/)
  expect.soft(ends.get('disk_full')).toMatchObject({ state: 'success', tryNumber: 2 })
  await podsGone(deployment, 60_000)
}, 360_000)

/** The numbers in the lines of a task's log; `faults` where one does not follow the one before. */
async function writtenOf(taskId: string) {
  const place = { dag_id: 'large', run_id: 'one', task_id: taskId, map_index: -1, try_number: 1 }
  const written = { first: 0, last: 0, count: 0, faults: [] as string[] }
  for await (const line of createInterface({
    input: createReadStream(attemptLogPath(deployment.logsDir, place)),
  })) {
    const number = Number(/"msg":"line (\d+) x{100}"/.exec(line)?.[1] ?? Number.NaN)
    if (Number.isNaN(number)) {
      // Ours stand between.
      if (!line.includes('"stream":"branchline"')) written.faults.push(line)
      continue
    }
    if (written.first === 0) written.first = number
    else if (number !== written.last + 1) written.faults.push(`${number} after ${written.last}`)
    written.last = number
    written.count += 1
  }
  return written
}
