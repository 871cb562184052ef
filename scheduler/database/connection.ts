// All that is said to Postgres goes through here: the only file that imports pg. It turns a URL into a pool,
// into single connections for work whose order matters, and driver failures into our errors, by SQLSTATE.
import pg from 'pg'
import { BranchlineError, ConfigError, DatabaseUnavailableError, messageOf } from '../../runtime/errors.ts'

// 64-bit integers (our ids) fit a double until 9 × 10^15 rows; timestamps are read as Date by pg itself.
const int8Oid = 20
pg.types.setTypeParser(int8Oid, Number)
// json columns hold results and params as text that is passed on as it is; jsonb (manifests) is parsed.
const jsonOid = 114
pg.types.setTypeParser(jsonOid, (text) => text)

export interface QueryResult<Row> {
  rows: Row[]
  rowCount: number
}

/** Anything that a statement can be sent to. */
export interface Queryable {
  /**
   * @param name makes it a prepared statement of the connection; use it for what runs often
   * @throws DatabaseUnavailableError where the server refused, dropped or did not answer
   */
  query<Row extends object>(text: string, values?: unknown[], name?: string): Promise<QueryResult<Row>>
}

/** One connection of its own; statements run in the order in which they were given. */
export interface Connection extends Queryable {
  close(): Promise<void>
}

export interface Database extends Queryable {
  readonly url: string
  /** Runs `work` in one transaction on one connection; rolls back when it throws. */
  transaction<T>(work: (connection: Queryable) => Promise<T>): Promise<T>
  /** Opens a connection that the pool does not know; `onLost` fires once when it breaks. */
  connect(onLost: (error: Error) => void): Promise<Connection>
  /** Subscribes to NOTIFY on `channel`; the connection is one of its own, see `connect`. */
  listen(
    channel: string,
    onNotification: (payload: string) => void,
    onLost: (error: Error) => void,
  ): Promise<Connection>
  close(): Promise<void>
}

/**
 * SQLSTATE classes and errno that mean 'not now': connection, operator intervention, resources (a full disk, no
 * memory, too many connections), trouble of the system, a transaction that lost against another, a statement that
 * somebody cancelled or that waited too long for a lock, and a server that only reads (a standby being promoted).
 */
const unavailableCode = /^(08...|57P0[123]|57014|53...|58...|40001|40P01|55P03|25006|E[A-Z]+)$/
// The driver gives no code where a connection ends under a statement.
const unavailableMessages = [
  'Connection terminated',
  'Client has encountered a connection error',
  'timeout exceeded when trying to connect',
  'Client was closed',
]

/** No such database; no such user, or another password. */
const refusedCodes: ReadonlySet<string> = new Set(['3D000', '28P01', '28000'])

function translate(error: unknown): unknown {
  if (error instanceof BranchlineError) return error
  const code = (error as { code?: string }).code
  const message = messageOf(error)
  if (code !== undefined && refusedCodes.has(code)) {
    return new ConfigError(
      `Postgres refuses what database_url says: ${message}. Create the database or the user there, or name others`,
      { cause: error, details: { code } },
    )
  }
  const isAway =
    (code !== undefined && unavailableCode.test(code)) ||
    (code === undefined && unavailableMessages.some((known) => message.startsWith(known)))
  if (!isAway) return error
  return new DatabaseUnavailableError(
    `Postgres is not available: ${message || code}. Check that it runs and that database_url names it.`,
    { cause: error, details: { code } },
  )
}

/** The SQLSTATE of a failed statement, if it was one. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

async function run<Row extends object>(
  client: pg.Client | pg.Pool | pg.PoolClient,
  text: string,
  values?: unknown[],
  name?: string,
): Promise<QueryResult<Row>> {
  try {
    const result = await client.query<Row>({ text, ...(values && { values }), ...(name && { name }) })
    return { rows: result.rows, rowCount: result.rowCount ?? 0 }
  } catch (error) {
    throw translate(error)
  }
}

/** How long to wait for a connection; a dead server answers at once, a lost network would hang for minutes. */
const connectTimeoutMs = 5_000

/**
 * @param url postgres://user:password@host:port/database
 * @param options.max connections of the pool; default 4, since what is frequent has a connection of its own
 */
export function openDatabase(
  url: string,
  options: { max?: number; applicationName?: string } = {},
): Database {
  const settings = {
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: options.applicationName ?? 'branchline',
    keepAlive: true,
  }
  const pool = new pg.Pool({ ...settings, max: options.max ?? 4, allowExitOnIdle: true })
  // An idle connection that breaks is replaced by the pool; the next statement reports what matters.
  pool.on('error', () => {})

  const connect = async (onLost: (error: Error) => void, onNotification?: (payload: string) => void) => {
    const client = new pg.Client(settings)
    let isClosed = false
    const lost = (error?: Error) => {
      if (isClosed) return
      isClosed = true
      onLost(error ?? new DatabaseUnavailableError('Postgres closed the connection'))
    }
    client.on('error', lost)
    client.on('end', () => lost())
    if (onNotification) client.on('notification', (message) => onNotification(message.payload ?? ''))
    try {
      await client.connect()
    } catch (error) {
      isClosed = true
      throw translate(error)
    }
    return {
      query: <Row extends object>(text: string, values?: unknown[], name?: string) =>
        run<Row>(client, text, values, name),
      async close() {
        isClosed = true
        await client.end().catch(() => {})
      },
    }
  }

  return {
    url,
    query: (text, values, name) => run(pool, text, values, name),
    async transaction(work) {
      const client = await pool.connect().catch((error) => {
        throw translate(error)
      })
      let failure: Error | undefined
      // A connection that breaks between two statements says so by an event, which would end the process if nobody
      // heard it; the next statement reports it.
      const onError = (error: Error) => {
        failure = error
      }
      client.on('error', onError)
      try {
        await run(client, 'begin')
        const result = await work({ query: (text, values, name) => run(client, text, values, name) })
        await run(client, 'commit')
        return result
      } catch (error) {
        await run(client, 'rollback').catch((rollbackError: Error) => {
          failure = rollbackError
        })
        throw error
      } finally {
        client.off('error', onError)
        client.release(failure)
      }
    },
    connect: (onLost) => connect(onLost),
    async listen(channel, onNotification, onLost) {
      const connection = await connect(onLost, onNotification)
      try {
        await connection.query(`listen ${pg.escapeIdentifier(channel)}`)
      } catch (error) {
        await connection.close()
        throw error
      }
      return connection
    },
    close: () => pool.end(),
  }
}
