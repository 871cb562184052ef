// Ports of this machine: which are free, and which address leads to what listens there.
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError } from '../../runtime/errors.ts'

/** Ports that no system gives to connections by itself: one of those might be taken before it is listened on. */
const quietPorts = { from: 20_000, to: 32_000 }
const quietTries = 20

/** `port` itself, or for 0 any free one; undefined where it cannot be listened on. */
export async function freePort(host: string, port: number): Promise<number | undefined> {
  for (let tries = 0; port === 0 && tries < quietTries; tries += 1) {
    const found = await listenable(host, randomInt(quietPorts.from, quietPorts.to))
    if (found !== undefined) return found
  }
  return await listenable(host, port)
}

async function listenable(host: string, port: number): Promise<number | undefined> {
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

const retryMs = 100

/**
 * The port for the API, or for 0 any free one.
 * @param options.patienceMs how long a port in use is waited for: a program of ours may still be ending
 * @throws ConfigError where another program has the port
 */
export async function chooseWebPort(options: {
  host: string
  port: number
  patienceMs: number
}): Promise<number> {
  const { host, port, patienceMs } = options
  const deadline = performance.now() + patienceMs
  for (;;) {
    const free = await freePort(host, port)
    if (free !== undefined) return free
    if (performance.now() >= deadline) {
      throw new ConfigError(
        `port ${port} on ${host} is in use by another program, or not this user's to take: end that program, or choose another port with --web-port (0 takes any free one)`,
        { details: { host, port } },
      )
    }
    await sleep(retryMs)
  }
}

/** On loopback: the wanted port where it is free, otherwise any. */
export async function preferredPort(wanted: number): Promise<number> {
  return (await freePort('127.0.0.1', wanted)) ?? (await freePort('127.0.0.1', 0))!
}

/** The URL of what listens on `host` (which may be all addresses), for programs on this machine. */
export function localUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
