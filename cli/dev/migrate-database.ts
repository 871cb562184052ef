// Brings the database to this release's schema before any program starts, so that a database of a newer release is one
// clear error and not the last words of some program.
import { setTimeout as sleep } from 'node:timers/promises'
import { DatabaseUnavailableError } from '../../runtime/errors.ts'
import { openDatabase } from '../../scheduler/database/connection.ts'
import { migrate } from '../../scheduler/database/migrate.ts'

/** Shorter: a dead server costs CPU. Longer: the start takes that much longer when it is back. */
const retryMs = 500

/** @throws ConfigError where the database is of a newer release; DatabaseUnavailableError */
export async function migrateDatabase(url: string): Promise<void> {
  const db = openDatabase(url, { max: 1, applicationName: 'branchline dev' })
  try {
    await migrate(db)
  } finally {
    await db.close()
  }
}

/** The same, of a database that is not ours and may be away for a while. @param onAway told once, why it waits */
export async function migrateWhenThere(
  url: string,
  onAway: (reason: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let isTold = false; !signal.aborted; isTold = true) {
    try {
      return await migrateDatabase(url)
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError)) throw error
      if (!isTold) onAway(error.message)
      await sleep(retryMs, undefined, { signal }).catch(() => {})
    }
  }
}
