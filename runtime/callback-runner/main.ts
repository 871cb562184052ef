// The program that runs the callbacks of one attempt of `pod()`, as protocol.ts says: beside the scheduler, so that no
// code of a Dag runs within it, and without its credentials. It leads a process group, which is killed as a whole when the
// scheduler's end of the orders pipe closes.
import { Socket } from 'node:net'
import { installAuthoring } from '../authoring/authoring-global.ts'
import { readLines } from '../read-lines.ts'
import { writeFully } from '../write-fully.ts'
import { createCallbackRunner } from './callback-runner.ts'
import { type CallbackOrder, ordersFd, reportsFd } from './protocol.ts'

process.setSourceMapsEnabled(true)
/** What a callback might replace is taken before one runs. */
const { parse } = JSON
installAuthoring()

function killGroup(): void {
  process.kill(-process.pid, 'SIGKILL')
}

const runner = createCallbackRunner({ send: (text) => writeFully(reportsFd, `${text}\n`, killGroup) })
function onUncaught(error: unknown): void {
  runner.uncaught(error)
  killGroup()
}
process.on('uncaughtException', onUncaught)
process.on('unhandledRejection', onUncaught)
// The terminal's ctrl-C and a supervisor's SIGTERM are the scheduler's business.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})

const orders = new Socket({ fd: ordersFd, readable: true, writable: false })
readLines(orders, (line) => runner.take(parse(line) as CallbackOrder))
orders.on('close', killGroup)
orders.on('error', killGroup)
