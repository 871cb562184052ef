// A process that appends a file to an attempt's log, as a server does what a pod sends it: in pieces, from where it is
// told to go on, whole lines at a time. Arguments: database, logs directory, key as JSON, file. To be killed at any moment.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { appendAttemptLog } from '../../scheduler/database/append-attempt-log.ts'
import { openDatabase } from '../../scheduler/database/connection.ts'
import type { PodKey } from '../../scheduler/database/pod-rows.ts'

const [url, logsDir, key, file] = process.argv.slice(2) as [string, string, string, string]
const stream = readFileSync(file)
const db = openDatabase(url, { max: 1 })

for (let offset = 0; offset < stream.length; ) {
  const end = stream.indexOf('\n', offset + Math.floor(Math.random() ** 4 * 60_000)) + 1 || stream.length
  try {
    const bytes = stream.subarray(offset, end)
    offset = (await appendAttemptLog(db, { key: JSON.parse(key) as PodKey, logsDir, bytes, offset }))!
  } catch {
    // Its session was ended, or Postgres is away.
    await delay(20)
  }
}
await db.close()
