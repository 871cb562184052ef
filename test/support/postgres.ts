// Databases for tests, on the one server of the test run. A test file makes as many as it likes, each fresh;
// a template (a migrated database, made once for each test file) is copied by Postgres itself, file by file.
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { openDatabase } from '../../scheduler/database/connection.ts'
import { migrate } from '../../scheduler/database/migrate.ts'
import type {} from './postgres-global-setup.ts'

export interface TestDatabase extends AsyncDisposable {
  url: string
  name: string
}

/** URL of the shared server, started now if this is the first call of the run; as its superuser. */
async function testServerUrl(): Promise<string> {
  const response = await fetch(inject('postgresStarterUrl'))
  const answer = await response.text()
  if (!response.ok) throw new Error(`the Postgres server of the tests did not start: ${answer}`)
  return answer
}

/**
 * An empty database of its own, or a copy of `template` (to which nobody may be connected). Disposing drops it,
 * ending what is still connected.
 */
export async function createTestDatabase(options: { template?: TestDatabase } = {}): Promise<TestDatabase> {
  const serverUrl = await testServerUrl()
  const name = `test_${randomBytes(6).toString('hex')}`
  const copyOf = options.template === undefined ? '' : ` template ${options.template.name} strategy file_copy`
  await query(serverUrl, `create database ${name}${copyOf}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    name,
    [Symbol.asyncDispose]: () => query(serverUrl, `drop database if exists ${name} with (force)`),
  }
}

let template: Promise<TestDatabase> | undefined

/**
 * A database with the newest schema: migrated once in this test file, on a template that each call copies. The
 * template goes away with the server at the end of the run.
 */
export async function createMigratedDatabase(): Promise<TestDatabase> {
  template ??= createMigratedTemplate()
  return await createTestDatabase({ template: await template })
}

async function createMigratedTemplate(): Promise<TestDatabase> {
  const database = await createTestDatabase()
  const connection = openDatabase(database.url)
  await migrate(connection)
  // Postgres copies a template only while nobody is connected to it.
  await connection.close()
  return database
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
