// A proxy before the API server that breaks what a test wants broken: plain HTTP in front, the kubeconfig's own TLS
// behind. What it is not told to break it passes on, streams as they come.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseYaml } from '../../k8s/yaml.ts'

/** What becomes of one request. */
export type ProxyFault =
  /** An answer of the proxy's own; the API server never hears of it. */
  | { answer: { status: number; headers?: Record<string, string>; body?: string } }
  /** The API server's answer as far as so many bytes of its body, and then the connection is cut. */
  | { cutAfterBytes: number }
  /** As far as so many bytes, and then nothing, with the connection open. -1: not even the request is passed on. */
  | { hangAfterBytes: number }
  /** The request is done; instead of the answer the connection is cut. */
  | { loseAnswer: true }
  | { delayMs: number }
  /** Passed on when that resolves. */
  | { heldUntil: Promise<void> }

export interface ProxiedRequest {
  method: string
  /** With its query. */
  path: string
}

export interface KubernetesProxy extends AsyncDisposable {
  /** Path of a kubeconfig that leads here. */
  kubeconfig: string
  requests: ProxiedRequest[]
  /** Asked for each request; undefined passes it on. */
  faultOf: (request: ProxiedRequest) => ProxyFault | undefined
  /** Cuts all connections; new ones are taken. */
  cut(): void
  /**
   * From now on nothing is passed in either direction; connections stay open and new ones are taken. Those are lost for
   * ever: `mend` is for new ones.
   */
  hang(): void
  /** Cuts all connections and takes no new ones, until `mend`. */
  close(): Promise<void>
  mend(): Promise<void>
}

/** @param kubeconfig of a cluster whose user has a certificate, as those of test clusters do */
export async function startKubernetesProxy(kubeconfig: string): Promise<KubernetesProxy> {
  const behind = readBehind(kubeconfig)
  const agent = new Agent({ keepAlive: true, ca: behind.ca, cert: behind.cert, key: behind.key })
  const sockets = new Set<Socket>()
  let isHanging = false
  const dead = new WeakSet<Socket>()

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const proxied = { method: request.method!, path: request.url! }
    proxy.requests.push(proxied)
    const fault = proxy.faultOf(proxied)
    const { socket } = request
    if (isHanging) dead.add(socket)
    if (dead.has(socket)) return
    if (fault !== undefined && 'answer' in fault) {
      const { status, headers = {}, body = '' } = fault.answer
      request.resume()
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
      return
    }
    if (fault !== undefined && 'hangAfterBytes' in fault && fault.hangAfterBytes < 0) return
    if (fault !== undefined && 'delayMs' in fault) await delay(fault.delayMs)
    if (fault !== undefined && 'heldUntil' in fault) await fault.heldUntil
    const { host: _host, connection: _connection, ...headers } = request.headers
    const onwards = httpsRequest(new URL(request.url!, behind.server), {
      method: request.method!,
      headers,
      agent,
    })
    request.pipe(onwards)
    response.on('close', () => onwards.destroy())
    onwards.on('error', () => response.destroy())
    onwards.on('response', (answer) => {
      if (fault !== undefined && 'loseAnswer' in fault) {
        answer.resume().on('end', () => response.destroy())
        return
      }
      response.writeHead(answer.statusCode!, answer.headers)
      response.flushHeaders()
      let passed = 0
      const until =
        fault === undefined
          ? Number.POSITIVE_INFINITY
          : 'cutAfterBytes' in fault
            ? fault.cutAfterBytes
            : 'hangAfterBytes' in fault
              ? fault.hangAfterBytes
              : Number.POSITIVE_INFINITY
      answer.on('data', (piece: Buffer) => {
        if (dead.has(socket) || passed >= until) return
        const some = piece.subarray(0, until - passed)
        passed += some.length
        const isLast = passed >= until
        response.write(some, () => {
          if (isLast && fault !== undefined && 'cutAfterBytes' in fault) response.socket?.destroy()
        })
      })
      answer.on('error', () => response.destroy())
      answer.on('end', () => {
        if (!dead.has(socket) && passed < until) response.end()
      })
    })
  }

  const makeServer = () =>
    createServer((request, response) => void serve(request, response)).on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket)).on('error', () => {})
    })
  let server = makeServer()
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await listen(0)
  const { port } = server.address() as AddressInfo
  const folder = mkdtempSync(join(tmpdir(), 'kubernetes-proxy-'))
  const file = join(folder, 'config')
  writeFileSync(file, kubeConfigText(`http://127.0.0.1:${port}`))
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    cut()
    await closed
  }
  const proxy: KubernetesProxy = {
    kubeconfig: file,
    requests: [],
    faultOf: () => undefined,
    cut,
    hang() {
      isHanging = true
      for (const socket of sockets) dead.add(socket)
    },
    close,
    async mend() {
      isHanging = false
      if (server.listening) return
      server = makeServer()
      await listen(port)
    },
    async [Symbol.asyncDispose]() {
      await close()
      agent.destroy()
      rmSync(folder, { recursive: true })
    },
  }
  return proxy
}

/** A kubeconfig with one context, without a user. */
function kubeConfigText(server: string): string {
  return JSON.stringify({
    clusters: [{ name: 'proxy', cluster: { server } }],
    contexts: [{ name: 'proxy', context: { cluster: 'proxy' } }],
    'current-context': 'proxy',
  })
}

function readBehind(kubeconfig: string): { server: string; ca: Buffer; cert: Buffer; key: Buffer } {
  const config = parseYaml(readFileSync(kubeconfig, 'utf8'), kubeconfig) as {
    clusters: { cluster: Record<string, string> }[]
    users: { user: Record<string, string> }[]
  }
  const { cluster } = config.clusters[0]!
  const { user } = config.users[0]!
  const material = (entry: Record<string, string>, key: string): Buffer => {
    const data = entry[`${key}-data`]
    return data === undefined ? readFileSync(entry[key]!) : Buffer.from(data, 'base64')
  }
  return {
    server: cluster.server!,
    ca: material(cluster, 'certificate-authority'),
    cert: material(user, 'client-certificate'),
    key: material(user, 'client-key'),
  }
}
