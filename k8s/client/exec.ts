// A command in a container, over the library's WebSocket. How the command ended comes as a Status object; a connection
// that is lost says nothing but `close`, and one that hangs not even that, so that it is pinged.
import { once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Exec } from '@kubernetes/client-node'
import { errorOfStatus, type Status, unansweredCall } from '../kubernetes-error.ts'
import type { Credentials } from './credentials.ts'
import type { ExecOptions, KubernetesClient } from './kubernetes-client.ts'
import type { Transport } from './transport.ts'

/** A connection without an answer to two pings is lost. Also keeps those in between from ending an idle session. */
const pingEveryMs = 20_000

/** How long the server may take to connect the streams: it asks the kubelet for them. */
const openTimeoutMs = 30_000

/** Input that may wait for the network: more of it is not read from whoever writes it. */
const maxWaitingInputBytes = 1024 * 1024

/** Of the library's WebSocket what is used here; its own types are not installed with it. */
interface Connection {
  readonly bufferedAmount: number
  pause(): void
  resume(): void
  ping(): void
  close(): void
  terminate(): void
  on(event: 'close' | 'pong', listener: () => void): void
  on(event: 'error', listener: (error: Error) => void): void
}

export function createExecCalls(deps: {
  credentials: Credentials
  transport: Transport
  where: string
}): Pick<KubernetesClient, 'exec'> {
  const { credentials, transport, where } = deps
  return {
    async exec(namespace, pod, options) {
      const { container, command, tty = false, stdin, stdout, stderr, sizes, signal, onOpen } = options
      const call = `run ${JSON.stringify(command)} in container ${container} of pod ${namespace}/${pod}`
      signal?.throwIfAborted()
      const session: Session = { connection: undefined }
      const output = new Output(stdout, session)
      const errors = stderr === undefined || tty ? null : new Output(stderr, session)
      const input = stdin === undefined ? null : paced(stdin, session)
      const followSizes = tty && sizes !== undefined ? await startSizes(sizes, output) : undefined
      const { promise, resolve, reject } = Promise.withResolvers<number>()
      const end = (status: Status): void => {
        const exitCode = exitCodeOf(status)
        if (exitCode === undefined) reject(errorOfStatus(call, status))
        else resolve(exitCode)
      }
      try {
        const exec = new Exec(credentials.kubeConfig())
        const opening = exec.exec(
          encodeURIComponent(namespace),
          encodeURIComponent(pod),
          container,
          command,
          output,
          errors,
          input,
          tty,
          (status) => end(status as Status),
        ) as unknown as Promise<Connection>
        session.connection = await openInTime(opening, signal)
      } catch (error) {
        output.destroy()
        input?.destroy()
        signal?.throwIfAborted()
        if (error instanceof OpenTimeout) throw unansweredCall(call, where, error)
        throw await whyRefused({ transport, call, namespace, pod, container, command, signal }, where, error)
      }
      const { connection } = session
      connection.on('error', (error) => reject(unansweredCall(call, where, error)))
      connection.on('close', () =>
        reject(unansweredCall(call, where, new Error('the connection was closed'))),
      )
      const onAbort = (): void => {
        reject(signal!.reason)
        connection.terminate()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      const stopPings = keepAlive(connection)
      try {
        onOpen?.()
        followSizes?.()
        const exitCode = await promise
        await Promise.all([output.flushed(), errors?.flushed()])
        return exitCode
      } finally {
        stopPings()
        signal?.removeEventListener('abort', onAbort)
        input?.destroy()
        connection.close()
      }
    },
  }
}

class OpenTimeout extends Error {}

/** The library's WebSocket waits without an end for a server that says nothing, and knows no signal. */
async function openInTime(
  opening: Promise<Connection>,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new OpenTimeout(`it took longer than ${openTimeoutMs / 1000} s`)),
    openTimeoutMs,
  )
  const onAbort = (): void => reject(signal!.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([opening, promise])
  } catch (error) {
    // What opens after all is nobody's.
    opening.then(
      (late) => late.terminate(),
      () => {},
    )
    throw error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

interface Session {
  connection: Connection | undefined
}

/**
 * What the library writes the command's output to, and reads the terminal's size from. Holds the connection back while
 * the target is full.
 */
class Output extends Writable {
  // Not there until they are set: the library takes an output that has them for a terminal.
  declare rows?: number
  declare columns?: number
  readonly #target: Writable
  readonly #session: Session

  constructor(target: Writable, session: Session) {
    super()
    this.#target = target
    this.#session = session
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    if (this.#target.write(chunk)) {
      callback()
      return
    }
    this.#session.connection?.pause()
    once(this.#target, 'drain').then(
      () => {
        this.#session.connection?.resume()
        callback()
      },
      () => callback(),
    )
  }

  /** Resolves when all that came is with the target. */
  async flushed(): Promise<void> {
    if (!this.writableFinished) await new Promise<void>((resolve) => this.end(resolve))
  }
}

/** Input as fast as the network takes it: the library sends whatever it is given. */
function paced(stdin: Readable, session: Session): Readable {
  async function* pieces() {
    for await (const piece of stdin) {
      while ((session.connection?.bufferedAmount ?? 0) > maxWaitingInputBytes) await delay(10)
      yield piece
    }
  }
  return Readable.from(pieces(), { objectMode: false })
}

/** Gives the output its first size, and returns what makes it follow the others. */
async function startSizes(sizes: NonNullable<ExecOptions['sizes']>, output: Output): Promise<() => void> {
  const iterator = sizes[Symbol.asyncIterator]()
  const first = await iterator.next()
  if (first.done === true) return () => {}
  output.rows = first.value.rows
  output.columns = first.value.columns
  const follow = async (): Promise<void> => {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      if (output.writableEnded || output.destroyed) break
      output.rows = next.value.rows
      output.columns = next.value.columns
      output.emit('resize')
    }
  }
  return () => void follow().catch(() => {})
}

function keepAlive(connection: Connection): () => void {
  let unanswered = 0
  connection.on('pong', () => {
    unanswered = 0
  })
  const timer = setInterval(() => {
    if (unanswered >= 2) {
      connection.terminate()
      return
    }
    unanswered += 1
    connection.ping()
  }, pingEveryMs)
  return () => clearInterval(timer)
}

/** Undefined where the command did not run to an end of its own. */
function exitCodeOf(status: Status): number | undefined {
  if (status.status === 'Success') return 0
  const cause = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')
  return cause?.message === undefined ? undefined : Number(cause.message)
}

/**
 * A refused WebSocket has a number and no words. The same question without the upgrade is refused with the server's
 * reason: the pod is gone, the right is missing, the container is not running.
 */
async function whyRefused(
  question: {
    transport: Transport
    call: string
    namespace: string
    pod: string
    container: string
    command: string[]
    signal: AbortSignal | undefined
  },
  where: string,
  cause: unknown,
): Promise<unknown> {
  const { transport, call, namespace, pod, container, command, signal } = question
  const query = new URLSearchParams([
    ['container', container],
    ['stdout', 'true'],
    ...command.map((word): [string, string] => ['command', word]),
  ])
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec?${query}`
  try {
    await transport.call({ call, method: 'GET', path, signal })
  } catch (error) {
    return error
  }
  return unansweredCall(call, where, (cause as { error?: unknown }).error ?? cause)
}
