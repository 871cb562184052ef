// Owns the one Postgres server of a test run: started when the first test file asks for it (over a loopback
// port, from vitest's worker processes), stopped and removed at the end of the run.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../cli/dev/embedded-postgres.ts'
import { readPostmasterFile, stopPostmaster } from '../../cli/dev/postmaster.ts'
import { worksIn } from '../../cli/dev/processes.ts'
import { createLogger } from '../../runtime/log.ts'
import { isRunning } from '../../runtime/process-start.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Answers a GET with the URL of the shared server. */
    postgresStarterUrl: string
  }
}

const prefix = 'branchline-test-postgres-'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeLeftovers()
  let directory: string | undefined
  let server: Promise<EmbeddedPostgres> | undefined
  const start = async () => {
    directory = await mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`))
    // Tests kill processes, not the machine: nothing is lost without fsync, and slow disks stay out of the way.
    const settings = { fsync: 'off', max_connections: 200 }
    return await startEmbeddedPostgres({
      directory,
      settings,
      log: createLogger('postgres', { level: 'warn' }),
    })
  }

  const starter = createServer(async (_request, response) => {
    try {
      server ??= start()
      response.end((await server).url)
    } catch (error) {
      response.writeHead(500).end(String(error))
    }
  })
  await new Promise<void>((resolve) => starter.listen(0, '127.0.0.1', resolve))
  project.provide('postgresStarterUrl', `http://127.0.0.1:${(starter.address() as AddressInfo).port}`)

  return async () => {
    await new Promise((resolve) => {
      starter.close(resolve)
      starter.closeAllConnections()
    })
    await (await server?.catch(() => undefined))?.stop()
    if (directory !== undefined) await rm(directory, { recursive: true, force: true })
  }
}

/** Stops and removes the servers of test runs that were killed before they could. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN
    if (Number.isNaN(owner) || isRunning(owner)) continue
    const dataDirectory = join(tmpdir(), name, 'data')
    const file = await readPostmasterFile(dataDirectory)
    if (file !== undefined && worksIn(file.pid, dataDirectory)) await stopPostmaster(file.pid)
    // Another user's leftovers stay theirs.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {})
  }
}
