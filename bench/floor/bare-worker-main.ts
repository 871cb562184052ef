// A warm process of the bare loop: does what it is told in the order given, answers once a batch. No bundle, no
// log, no limits: what is left when everything that a task runner is for is taken away.
import { appendFileSync } from 'node:fs'
import type { WorkerOrder, WorkerReport } from './protocol.ts'

const fibonacci = (n: number): number => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2))

const report = (message: WorkerReport) => process.send!(message)

process.on('message', (order: WorkerOrder) => {
  if (order.type === 'append') {
    appendFileSync(order.path, 'first line\n')
    report({ type: 'appended', atNs: String(process.hrtime.bigint()) })
    return
  }
  if (order.work === 'fibonacci') for (const _ of order.tasks) fibonacci(10)
  report({ type: 'ended', tasks: order.tasks })
})
process.on('disconnect', () => process.exit(0))
// The terminal's ctrl-C is the benchmark's business; when it ends, the channel does.
process.on('SIGINT', () => {})
