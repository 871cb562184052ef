// A way to Postgres that a test can cut and mend: a server that has gone away, seen from the program.

import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface TcpProxy extends AsyncDisposable {
  /** The URL with the proxy in place of the server. */
  url: string
  /** Ends all connections and takes no new ones. */
  cut(): Promise<void>
  mend(): Promise<void>
}

/** @param address where it listens; default: the loopback address */
export async function proxyTo(url: string, address = '127.0.0.1'): Promise<TcpProxy> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  const makeServer = (): Server =>
    createServer((client) => {
      const server = connect(Number(target.port), target.hostname)
      for (const socket of [client, server]) {
        sockets.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => {
          sockets.delete(socket)
          client.destroy()
          server.destroy()
        })
      }
      client.pipe(server).pipe(client)
    })
  let server = makeServer()
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, address, resolve))
  await listen(0)
  const { port } = server.address() as AddressInfo
  const cut = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  const proxied = new URL(url)
  proxied.host = `${address}:${port}`
  return {
    url: proxied.href,
    cut,
    async mend() {
      server = makeServer()
      await listen(port)
    },
    [Symbol.asyncDispose]: cut,
  }
}
