// Ports of this machine: whether one is free, and which is.
import { createServer } from 'node:net'

/** `port` itself, or for 0 any free one; undefined where it cannot be listened on. */
export async function freePort(host: string, port: number): Promise<number | undefined> {
  const server = createServer()
  return await new Promise((resolve) => {
    server.once('error', () => resolve(undefined))
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address()
      const chosen = address !== null && typeof address === 'object' ? address.port : undefined
      server.close(() => resolve(chosen))
    })
  })
}
