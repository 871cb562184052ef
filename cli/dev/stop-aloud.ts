// Stopping, with a word about what it waits for where it takes longer than one blinks.
import type { Supervisor } from './supervisor.ts'

/** Most stops are over by then. */
const quietMs = 700
const tellEveryMs = 1_500

const waitsFor: Readonly<Record<string, string>> = {
  scheduler: 'the scheduler, whose running tasks may clean up',
}

/** Stops it; `note` is told what still runs. */
export async function stopAloud(supervisor: Supervisor, note: (text: string) => void): Promise<void> {
  const tell = (): void => {
    const running = supervisor.status().filter(({ pid }) => pid !== null)
    const names = running.map(({ name }) => waitsFor[name] ?? name)
    if (names.length > 0) note(`stopping, waiting for ${names.join(', ')} (ctrl-C again: at once)`)
  }
  let interval: NodeJS.Timeout | undefined
  const first = setTimeout(() => {
    tell()
    interval = setInterval(tell, tellEveryMs)
  }, quietMs)
  try {
    await supervisor.stop()
  } finally {
    clearTimeout(first)
    clearInterval(interval)
  }
}
