// The bare loop as the cases use it: a process of its own, as a scheduler is, on an empty database of the same
// server.
import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { BenchContext } from '../support/bench-case.ts'
import type { BareWorkload, LoopOrder, LoopReport } from './protocol.ts'

export interface BareLoop extends AsyncDisposable {
  databaseUrl: string
  /** Runs all tasks; resolves when the last one's end is committed. One at a time. */
  run(workload: BareWorkload): Promise<{ elapsedMs: number; endsMs: number[] }>
  /** From now on each NOTIFY has a worker append a line to `<directory>/<payload>.log`. */
  listen(directory: string): Promise<void>
  /** The next line that a worker has appended. */
  appended(): Promise<bigint>
}

/** @param options.workers warm processes */
export async function startBareLoop(context: BenchContext, options: { workers: number }): Promise<BareLoop> {
  const databaseUrl = await context.postgres.createDatabase()
  const child = fork(join(import.meta.dirname, 'bare-scheduler-main.ts'), [
    databaseUrl,
    String(options.workers),
  ])
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))

  const next = <Type extends LoopReport['type']>(type: Type) =>
    new Promise<Extract<LoopReport, { type: Type }>>((resolve, reject) => {
      const onMessage = (message: LoopReport) => {
        if (message.type === 'failed') reject(new Error(`the bare loop failed: ${message.message}`))
        else if (message.type === type) resolve(message as Extract<LoopReport, { type: Type }>)
        else return
        child.off('message', onMessage)
      }
      child.on('message', onMessage)
      void exited.then(() => reject(context.signal.reason ?? new Error('the bare loop ended')))
    })
  const send = (order: LoopOrder) => child.send(order)

  await next('ready')
  return {
    databaseUrl,
    async run(workload) {
      const done = next('done')
      send({ type: 'run', workload })
      return await done
    },
    async listen(directory) {
      const listening = next('listening')
      send({ type: 'listen', directory })
      await listening
    },
    appended: async () => BigInt((await next('appended')).atNs),
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect()
      await exited
    },
  }
}

/** Tasks in rows: each waits for the one before it in its row. */
export function chainsWorkload(
  chains: number,
  length: number,
  work: BareWorkload['work'],
  maxActive: number | null = null,
): BareWorkload {
  const upstream = Array.from({ length: chains * length }, (_, task) =>
    task % length === 0 ? [] : [task - 1],
  )
  return { upstream, work, maxActive }
}

/** One task, then `width` at once, then one. */
export function fanOutWorkload(width: number): BareWorkload {
  const middle = Array.from({ length: width }, (_, n) => n + 1)
  return { upstream: [[], ...middle.map(() => [0]), middle], work: 'nothing', maxActive: null }
}
