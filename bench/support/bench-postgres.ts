// The one Postgres of a benchmark: the embedded one, durable, with the settings that `branchline dev` gives it, in a
// temporary directory. Each case has databases of its own on it, and its floor uses the same server.
import { join } from 'node:path'
import pg from 'pg'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../cli/dev/embedded-postgres.ts'
import { createLogger } from '../../runtime/log.ts'

export interface BenchPostgres extends AsyncDisposable {
  version: string
  pid: number
  /** @returns the URL of a new, empty database */
  createDatabase(): Promise<string>
}

/** @param directory the server's own, which may not exist yet */
export async function startBenchPostgres(directory: string, signal: AbortSignal): Promise<BenchPostgres> {
  const server: EmbeddedPostgres = await startEmbeddedPostgres({
    directory: join(directory, 'postgres'),
    // Case (h) asks when each task's end was committed; ten bytes a commit.
    settings: { track_commit_timestamp: 'on' },
    log: createLogger('postgres', { level: 'warn' }),
    signal,
  })
  let count = 0
  try {
    const version = await query<{ server_version: string }>(server.url, 'show server_version')
    return {
      version: version.server_version.split(' ')[0]!,
      pid: server.pid,
      async createDatabase() {
        count += 1
        const name = `bench_${count}`
        await query(server.url, `create database ${name}`)
        const url = new URL(server.url)
        url.pathname = `/${name}`
        return url.href
      },
      [Symbol.asyncDispose]: () => server.stop(),
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function query<Row extends object>(url: string, sql: string): Promise<Row> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(sql)).rows[0]!
  } finally {
    await client.end()
  }
}
