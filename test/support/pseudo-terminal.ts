// A program in a terminal, for tests: `script` (util-linux) holds the terminal, and `stty` from outside changes the size
// of its window, as a window manager would.
import { execFileSync, spawn } from 'node:child_process'
import { eventually } from './eventually.ts'

export interface PseudoTerminal extends AsyncDisposable {
  /** Everything that was shown so far. */
  shown(): string
  /** Presses keys: '\r' is return, '\x03' ctrl-C. */
  press(keys: string): void
  resize(columns: number, rows: number): void
  /** The program's exit code. */
  result: Promise<number | null>
}

/** Runs a command of `sh` in a terminal of 101 columns and 33 rows; disposing kills it. */
export async function startInTerminal(
  command: string,
  options: { env: NodeJS.ProcessEnv },
): Promise<PseudoTerminal> {
  const inside = `stty columns 101 rows 33; tty; ${command}`
  const child = spawn('script', ['--quiet', '--flush', '--return', '--command', inside, '/dev/null'], {
    env: { ...options.env, SHELL: '/bin/sh', TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let shown = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      shown += text
    })
  }
  const result = new Promise<number | null>((resolve) => void child.once('close', resolve))
  const device = await eventually('the terminal', () => /^(\/dev\/pts\/\d+)/m.exec(shown)?.[1])
  return {
    shown: () => shown,
    press: (keys) => void child.stdin.write(keys),
    resize(columns, rows) {
      execFileSync('stty', ['--file', device, 'columns', String(columns), 'rows', String(rows)])
    },
    result,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await result
    },
  }
}
