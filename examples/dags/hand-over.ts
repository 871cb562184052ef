// Waiting for what somebody else delivers. `receive` knows nothing of `deliver`: it stands for another system that
// puts a file into a directory in its own time. So the first attempts fail, and retries are how it waits: between two
// attempts no process is held.
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bash, dag, task } from 'branchline'

// One for each user of the machine.
const directory = join(tmpdir(), `branchline-hand-over-${process.getuid?.() ?? 'shared'}`)

export default dag(
  'hand-over',
  { description: 'Retries until a file has arrived', schedule: { every: '5m' } },
  () => {
    // Written under another name and then renamed, so that nobody ever sees half of it.
    bash(
      'deliver',
      `file="$DIRECTORY/$BRANCHLINE_RUN_ID.txt"
       mkdir -p "$DIRECTORY" && rm -f "$file.part"
       for word in three two one; do echo "$word" | tee -a "$file.part"; sleep 0.5; done
       mv "$file.part" "$file"`,
      { env: { DIRECTORY: directory } },
    )

    task(
      'receive',
      // At the latest after 0.5 + 1 + 2 + 2 + 2 seconds; then the task has failed.
      { retries: 5, retryDelay: '500ms', retryExponentialBackoff: 2, maxRetryDelay: '2s' },
      async ({ runId, tryNumber, log }) => {
        const path = join(directory, `${runId}.txt`)
        const words = (await readFile(path, 'utf8')).trim().split('\n')
        log.info('received', { words, try_number: tryNumber })
        await rm(path)
        return { words, tries: tryNumber }
      },
    )
  },
)
