import pg from 'pg'
import { expect, test } from 'vitest'
import { createMigratedDatabase, createTestDatabase, type TestDatabase } from './postgres.ts'

async function rows(database: TestDatabase, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

test('each test database is empty and its own', async () => {
  await using first = await createTestDatabase()
  await using second = await createTestDatabase()
  await rows(first, 'create table only_here (id int)')
  expect(await rows(second, "select to_regclass('only_here') as found")).toEqual([{ found: null }])
})

test('a migrated database has the newest schema and is its own', async () => {
  await using first = await createMigratedDatabase()
  await using second = await createMigratedDatabase()
  await rows(first, 'delete from schema_migration')
  expect(await rows(first, 'select version from schema_migration')).toEqual([])
  expect((await rows(second, 'select version from schema_migration')).length).toBeGreaterThan(0)
})

test('a disposed database is gone, also while somebody is connected', async () => {
  await using server = await createTestDatabase()
  const client = await (async () => {
    await using database = await createTestDatabase()
    const connected = new pg.Client({ connectionString: database.url })
    connected.on('error', () => {})
    await connected.connect()
    return connected
  })()
  expect(await rows(server, `select 1 from pg_database where datname = '${client.database}'`)).toEqual([])
  await client.end()
})
