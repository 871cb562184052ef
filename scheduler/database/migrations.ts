// The numbered migrations, read from the files beside this one. build.ts replaces this module by one that holds
// their text, so that a built program needs no file but itself.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Migration {
  version: number
  /** File name without its ending, such as `0001_init`. */
  name: string
  sql: string
}

/** All migrations, in the order of their numbers. */
export function readMigrations(): Migration[] {
  const directory = join(import.meta.dirname, 'migrations')
  return readdirSync(directory)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => ({
      version: Number.parseInt(file, 10),
      name: file.replace(/\.sql$/, ''),
      sql: readFileSync(join(directory, file), 'utf8'),
    }))
}
