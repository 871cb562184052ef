// Migrations, by everybody at once and on a database of a newer release.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, openDatabase } from '../../../scheduler/database/connection.ts'
import { migrate } from '../../../scheduler/database/migrate.ts'
import { readMigrations } from '../../../scheduler/database/migrations.ts'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let db: Database
beforeAll(async () => {
  database = await createTestDatabase()
  db = openDatabase(database.url, { max: 20 })
})
afterAll(async () => {
  await db.close()
  await database[Symbol.asyncDispose]()
})

test('twenty migrators at once apply each migration once', async () => {
  const results = await Promise.all(Array.from({ length: 20 }, () => migrate(db)))
  const applied = results.flatMap((result) => result.applied)
  expect(applied).toEqual(readMigrations().map((migration) => migration.name))
})

test('a migration that fails leaves nothing behind', async () => {
  const broken = [
    ...readMigrations(),
    { version: 9_000, name: '9000_broken', sql: 'create table half (a int); select 1 / 0;' },
  ]
  await expect(migrate(db, broken)).rejects.toThrow('division by zero')
  const { rows } = await db.query(`select to_regclass('half') as half`)
  expect(rows).toEqual([{ half: null }])
})

test('a database of a newer release is refused, and the message says which versions', async () => {
  await db.query(`insert into schema_migration (version, name) values (9001, '9001_future')`)
  await expect(migrate(db)).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining('schema version 9001'),
  })
  await db.query('delete from schema_migration where version = 9001')
})

test('a migration has a header that says why, and numbers have no gaps', () => {
  const migrations = readMigrations()
  expect(migrations.map((migration) => migration.version)).toEqual(migrations.map((_, index) => index + 1))
  for (const { sql } of migrations) expect(sql).toMatch(/^-- .{20,}/)
})
