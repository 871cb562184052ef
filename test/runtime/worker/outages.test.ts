// What `branchline task` bridges: servers that die, answers that are lost, a Postgres that is away, and much of
// everything. The log is whole and the result is kept once, whatever happened in between.
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { createExecution, type Execution, type TestAttempt } from '../../support/execution.ts'
import { proxyTo } from '../../web/tcp-proxy.ts'

let execution: Execution

const bundle = `
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
const { dag, task } = globalThis[Symbol.for('branchline.authoring')]
export default dag('d', {}, () => {
  task('counts', async ({ log, runId }) => {
    for (let n = 0; !existsSync('go-' + runId); n += 1) {
      log.info('line', { n })
      await delay(5)
    }
    log.info('the last line')
    return 'done'
  })
  task('floods', ({ log }) => {
    const text = 'x'.repeat(950)
    for (let n = 0; n < 100_000; n += 1) log.info(text, { n })
    log.info('the last line')
  })
  task('large', () => 'ü"'.repeat(16 * 1024 * 1024))
})`

beforeAll(async () => {
  execution = await createExecution(bundle)
})
afterAll(() => execution[Symbol.asyncDispose]())

/** Lets `counts` end. */
function go({ runId }: TestAttempt): void {
  writeFileSync(join(execution.directory, 'dags', `go-${runId}`), '')
}

/** Everything once, in its order. */
function expectWhole(attempt: TestAttempt, stdout: Buffer): void {
  const text = execution.logText(attempt)
  expect(stdout.equals(Buffer.from(text))).toBe(true)
  const lines = execution.log(attempt).filter(({ stream }) => stream === 'log')
  expect(lines.at(-1)!.msg).toBe('the last line')
  expect(lines.slice(0, -1).map(({ n }) => n)).toEqual(lines.slice(0, -1).map((_, n) => n))
}

const grows = async (attempt: TestAttempt) => {
  const size = execution.logText(attempt).length
  await eventually('further lines', () => execution.logText(attempt).length > size)
}

test('the server is killed, stays away, and comes back on its port', async () => {
  const attempt = await execution.insertAttempt('counts')
  const web = await execution.startWeb()
  const worker = execution.startWorker(attempt, { url: web.url })
  await eventually('the first lines', () => execution.logText(attempt) !== '')
  web.child.kill('SIGKILL')
  await web.exited
  await eventually('a word on it', () => worker.stdout().includes('does not answer as it should'))
  go(attempt)
  await eventually('the last line', () => worker.stdout().includes('the last line'))
  const again = await execution.startWeb({ port: web.port })
  expect(await worker.exited).toEqual({ code: 0, signal: null })
  again.child.kill('SIGKILL')
  expectWhole(attempt, worker.stdout())
  expect((await execution.ledger(attempt)).result).toBe('"done"')
})

test('Postgres is away for a while', async () => {
  const attempt = await execution.insertAttempt('counts')
  await using proxy = await proxyTo(execution.databaseUrl)
  const web = await execution.startWeb({ env: { BRANCHLINE_DATABASE_URL: proxy.url } })
  const worker = execution.startWorker(attempt, { url: web.url })
  for (let time = 0; time < 3; time += 1) {
    await grows(attempt)
    await proxy.cut()
    const printed = worker.stdout().length
    await eventually('further lines within the pod', () => worker.stdout().length > printed + 5_000)
    await proxy.mend()
  }
  go(attempt)
  expect(await worker.exited).toEqual({ code: 0, signal: null })
  web.child.kill('SIGKILL')
  expectWhole(attempt, worker.stdout())
})

/** Between pods and servers, as a service is: each connection goes to the next of `ports`. */
async function createService(
  ports: number[],
  isPassedOn: (request: string) => boolean,
): Promise<{ url: string; cutAll(): void } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  let turn = 0
  const server = createServer((client) => {
    turn += 1
    const target = connect(ports[turn % ports.length]!, '127.0.0.1')
    let request = ''
    for (const socket of [client, target]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        target.destroy()
      })
    }
    client.on('data', (chunk) => {
      const head = /^(?:GET|POST) \S+/.exec(chunk.toString('latin1'))?.[0]
      if (head !== undefined) request = head
      target.write(chunk)
    })
    target.on('data', (chunk) => {
      if (isPassedOn(request)) client.write(chunk)
      else client.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cutAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cutAll,
    async [Symbol.asyncDispose]() {
      cutAll()
      await new Promise((done) => server.close(done))
    },
  }
}

test('two servers take turns, connections break, and every answer may be lost', async () => {
  const attempt = await execution.insertAttempt('counts')
  const webs = await Promise.all([execution.startWeb(), execution.startWeb()])
  const lost = new Map<string, number>()
  await using service = await createService(
    webs.map(({ port }) => port),
    (request) => {
      // The first two answers of each kind, and then one of three.
      const path = request.replace(/\?.*/, '')
      const count = (lost.get(path) ?? 0) + 1
      lost.set(path, count)
      return count > 2 && count % 3 !== 0
    },
  )
  const worker = execution.startWorker(attempt, { url: service.url })
  for (let time = 0; time < 5; time += 1) {
    await grows(attempt)
    service.cutAll()
  }
  go(attempt)
  expect(await worker.exited).toEqual({ code: 0, signal: null })
  for (const { child } of webs) child.kill('SIGKILL')
  expectWhole(attempt, worker.stdout())
  const row = await execution.ledger(attempt)
  // It began once and ended once, though the server heard both several times.
  expect(lost.get('POST /execution/finish')).toBeGreaterThan(2)
  expect(row).toMatchObject({ result: '"done"', revision: 3 })
})

test('a log of 100 MB that is written fast is kept byte for byte', async () => {
  const attempt = await execution.insertAttempt('floods')
  const web = await execution.startWeb()
  const worker = execution.startWorker(attempt, { url: web.url })
  expect(await worker.exited).toEqual({ code: 0, signal: null })
  web.child.kill('SIGKILL')
  expect(execution.logText(attempt).length).toBeGreaterThan(100_000_000)
  expectWhole(attempt, worker.stdout())
})

test('a result of 50 MB is kept as it is', async () => {
  const attempt = await execution.insertAttempt('large')
  const web = await execution.startWeb({ env: { BRANCHLINE_XCOM_MAX_BYTES: '100MiB' } })
  const worker = execution.startWorker(attempt, { url: web.url })
  expect(await worker.exited).toEqual({ code: 0, signal: null })
  web.child.kill('SIGKILL')
  expect((await execution.ledger(attempt)).result).toBe(JSON.stringify('ü"'.repeat(16 * 1024 * 1024)))
})
