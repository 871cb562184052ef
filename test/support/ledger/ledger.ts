// Goes into the repository of Dags that a test deploys, and is run by task runners: the ledger's writer for tasks
// that are functions. What the lines mean is told at test/support/ledger.ts; account.sh is the same for bash.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { TaskContext } from 'branchline'

/** One attempt: logs numbered lines with pauses between, and tells the ledger of each after it was logged. */
export async function attempt(
  { dagId, runId, taskId, tryNumber, log, signal }: TaskContext,
  { lines, pauseMs }: { lines: number; pauseMs: number },
): Promise<{ tryNumber: number; pid: number }> {
  const directory = `${process.env.LEDGER}/${dagId}/${runId}`
  mkdirSync(directory, { recursive: true })
  const file = `${directory}/${taskId}`
  const say = (...words: (string | number)[]) => appendFileSync(file, `${words.join(' ')}\n`)
  const start = startOf(process.pid)!
  for (const { tryNumber: other, pid } of alive(file, start)) say('overlap', tryNumber, other, pid)
  say('begin', tryNumber, process.pid, start, Date.now())
  try {
    for (let line = 1; line <= lines; line += 1) {
      log.info(`line ${line}`)
      say('line', tryNumber, line)
      if (pauseMs > 0) await delay(pauseMs, undefined, { signal })
    }
    return { tryNumber, pid: process.pid }
  } finally {
    say('end', tryNumber, process.pid, start, Date.now())
  }
}

/** Processes of earlier attempts that have not ended. */
function alive(file: string, ownStart: string): { tryNumber: string; pid: string }[] {
  if (!existsSync(file)) return []
  const said = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
  const hasEnded = (tryNumber: string) => said.some(([what, its]) => what === 'end' && its === tryNumber)
  return said.flatMap(([what, tryNumber = '', pid = '', start]) => {
    if (what !== 'begin' && what !== 'child') return []
    const isMine = Number(pid) === process.pid && start === ownStart
    const isOver = isMine ? hasEnded(tryNumber) : startOf(Number(pid)) !== start
    return isOver ? [] : [{ tryNumber, pid }]
  })
}

/** Tells processes of one id apart; undefined where none runs. */
function startOf(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return 'ZX'.includes(fields[0]!) ? undefined : fields[19]
  } catch {
    return undefined
  }
}
