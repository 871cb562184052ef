// The floor: the least that a durable, isolated engine does. One connection of node-postgres; each batch of
// completions is one statement that ends tasks and queues their successors, and only then are these sent to warm
// forked processes. What comes while a statement is under way waits for the next. No schedule, no lease, no
// attempts, no results, no logs, no retries.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import pg from 'pg'
import {
  type BareWorkload,
  bareChannel,
  type LoopOrder,
  type LoopReport,
  type WorkerOrder,
  type WorkerReport,
} from './protocol.ts'

/** Tasks that a worker is given ahead, so that it does not wait for the channel between two. */
const tasksAhead = 32

const [databaseUrl, workerCount] = [process.argv[2]!, Number(process.argv[3])]
const report = (message: LoopReport) => process.send!(message)
const client = new pg.Client({ connectionString: databaseUrl, application_name: 'bench floor' })

interface Worker {
  child: ChildProcess
  given: number
}

interface Run {
  runId: number
  work: BareWorkload['work']
  downstream: number[][]
  /** Task → upstream tasks that have not ended. */
  waitsFor: number[]
  /** Tasks that wait for nothing but room. */
  ready: number[]
  readyStart: number
  active: number
  maxActive: number
  began: number
  endsMs: number[]
}

const workers: Worker[] = Array.from({ length: workerCount }, () => ({
  child: fork(join(import.meta.dirname, 'bare-worker-main.ts')),
  given: 0,
}))
const queue: number[] = []
let queueStart = 0
let ended: number[] = []
let isCommitting = false
let run: Run | undefined
let runCount = 0

function onReport(worker: Worker, message: WorkerReport): void {
  if (message.type === 'appended') {
    report(message)
    return
  }
  worker.given -= message.tasks.length
  ended.push(...message.tasks)
  dispatch()
  if (!isCommitting) void commit()
}

async function commit(): Promise<void> {
  isCommitting = true
  while (ended.length > 0) {
    const batch = ended
    ended = []
    const { runId, downstream, waitsFor, began, endsMs } = run!
    for (const task of batch) {
      for (const below of downstream[task]!) {
        waitsFor[below]! -= 1
        if (waitsFor[below] === 0) run!.ready.push(below)
      }
    }
    run!.active -= batch.length
    const queued = takeReady(run!)
    await write(runId, batch, queued)
    const now = performance.now() - began
    for (const _ of batch) endsMs.push(now)
    queue.push(...queued)
    dispatch()
  }
  isCommitting = false
  if (run !== undefined && run.endsMs.length === run.waitsFor.length) {
    const { began, endsMs } = run
    run = undefined
    report({ type: 'done', elapsedMs: performance.now() - began, endsMs })
  }
}

function takeReady(of: Run): number[] {
  const taken = of.ready.slice(of.readyStart, of.readyStart + of.maxActive - of.active)
  of.readyStart += taken.length
  of.active += taken.length
  return taken
}

function write(runId: number, endedTasks: number[], readyTasks: number[]): Promise<unknown> {
  return client.query({
    name: 'commit',
    text: `with ended as (
             update bare_task set state = 'success', end_date = clock_timestamp()
             where run_id = $1 and task_id = any ($2::integer[])
           )
           insert into bare_task (run_id, task_id, state) select $1, unnest($3::integer[]), 'queued'`,
    values: [runId, endedTasks, readyTasks],
  })
}

function dispatch(): void {
  for (;;) {
    const worker = workers.reduce((a, b) => (b.given < a.given ? b : a))
    const waiting = queue.length - queueStart
    if (waiting === 0 || worker.given > 0) return
    // An even share, so that a few tasks keep all workers busy.
    const share = Math.min(tasksAhead, Math.ceil(waiting / workers.length))
    const tasks = queue.slice(queueStart, queueStart + share)
    queueStart += tasks.length
    worker.given += tasks.length
    worker.child.send({ type: 'tasks', tasks, work: run!.work } satisfies WorkerOrder)
  }
}

async function start({ upstream, work, maxActive }: BareWorkload): Promise<void> {
  const downstream: number[][] = upstream.map(() => [])
  for (const [task, above] of upstream.entries()) for (const one of above) downstream[one]!.push(task)
  queue.length = 0
  queueStart = 0
  runCount += 1
  const waitsFor = upstream.map((above) => above.length)
  run = {
    runId: runCount,
    work,
    downstream,
    waitsFor,
    ready: waitsFor.flatMap((count, task) => (count === 0 ? task : [])),
    readyStart: 0,
    active: 0,
    maxActive: maxActive ?? upstream.length,
    began: performance.now(),
    endsMs: [],
  }
  const queued = takeReady(run)
  await write(runCount, [], queued)
  queue.push(...queued)
  dispatch()
}

async function listen(directory: string): Promise<void> {
  client.on('notification', async ({ payload }) => {
    await client.query({
      name: 'claim',
      text: `update bare_task set state = 'running' where run_id = $1 and task_id = 0 and state = 'queued'`,
      values: [payload],
    })
    const order: WorkerOrder = { type: 'append', path: join(directory, `${payload}.log`) }
    workers[0]!.child.send(order)
  })
  await client.query(`listen ${bareChannel}`)
  report({ type: 'listening' })
}

process.on('message', (order: LoopOrder) => {
  const work = order.type === 'run' ? start(order.workload) : listen(order.directory)
  work.catch((error: Error) => report({ type: 'failed', message: error.message }))
})
process.on('disconnect', () => process.exit(0))
process.on('SIGINT', () => {})
for (const worker of workers) {
  worker.child.on('message', (message: WorkerReport) => onReport(worker, message))
  worker.child.on('exit', () => process.exit(1))
}
await client.connect()
await client.query(`
  create table bare_task (
    run_id bigint not null, task_id integer not null, state text not null,
    queued_at timestamptz not null default now(), end_date timestamptz,
    primary key (run_id, task_id)
  ) with (fillfactor = 75)`)
report({ type: 'ready' })
