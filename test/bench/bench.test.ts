// The benchmark as a person starts it, in its quick form: that it runs to its end, says what docs/performance.md
// explains, and leaves nothing behind. Never how fast anything was.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { memoryFileSystem } from '../../bench/support/sample-repository.ts'

const root = resolve(import.meta.dirname, '../..')

interface Ended {
  pid: number
  code: number | null
  stdout: string
  stderr: string
}

/** @param onStderr may end it */
async function bench(
  args: readonly string[],
  input = '',
  onStderr?: (kill: () => void) => void,
): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, 'bench/main.ts'), ...args], { cwd: root })
  onTestFinished(() => void child.kill('SIGINT'))
  child.stdin.end(input)
  if (onStderr) child.stderr.once('data', () => onStderr(() => child.kill('SIGINT')))
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { pid: child.pid!, code, stdout, stderr }
}

const leftBy = ({ pid }: Ended) =>
  [tmpdir(), memoryFileSystem]
    .flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []))
    .filter((name) => name.startsWith(`branchline-bench-${pid}-`))

test('a case prints one JSON line with figure, floor, machine and settings, and leaves nothing behind', async () => {
  const ended = await bench(['c', '--quick'])
  expect(ended.code, ended.stderr).toBe(0)
  const lines = ended.stdout.trimEnd().split('\n')
  expect(lines).toHaveLength(1)
  const line = JSON.parse(lines[0]!)
  expect(Object.keys(line)).toEqual([
    ...['case', 'value', 'unit', 'floor', 'ratio', 'n', 'min', 'max', 'machine', 'settings'],
  ])
  expect(line).toMatchObject({
    case: 'c-fan-out-200',
    unit: 'ms',
    n: 3,
    settings: { programs: 'source', max_active_tasks: 200 },
  })
  expect(line.min).toBeGreaterThan(0)
  expect(line.min).toBeLessThanOrEqual(line.value)
  expect(line.value).toBeLessThanOrEqual(line.max)
  expect(line.ratio).toBeCloseTo(line.value / line.floor, 0)
  expect(line.machine.cores).toBeGreaterThan(0)
  expect(line.machine.postgres).toMatch(/^\d+\.\d+/)
  expect(leftBy(ended)).toEqual([])

  const table = await bench(['--table'], ended.stdout)
  expect(table.stdout).toContain('| `c-fan-out-200` |')
  expect(table.stdout).toContain(`PostgreSQL ${line.machine.postgres}`)
})

test('an interrupted benchmark removes what it made', async () => {
  const ended = await bench(['c', '--quick'], '', (kill) => kill())
  expect(ended.code, ended.stderr).toBe(1)
  expect(ended.stderr).toContain('ended by SIGINT')
  expect(leftBy(ended)).toEqual([])
})

test('a misspelt case is answered with the nearest one', async () => {
  const { code, stderr } = await bench(['fan-out-20'])
  expect(code).toBe(1)
  expect(stderr).toContain("Did you mean 'fan-out-200'?")
})

test('the sync case measures each way in which a push is learnt of, and one git command a poll', async () => {
  const ended = await bench(['sync', '--quick'])
  expect(ended.code, ended.stderr).toBe(0)
  const lines = ended.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const names = lines.map((line) => line.case as string)
  for (const size of ['small', 'big']) {
    for (const way of ['post', 'listen', 'signal', 'period-1s'])
      expect(names).toContain(`i-sync-push-${way}-${size}`)
    expect(names).toContain(`i-sync-first-${size}`)
    const polls = lines.find((line) => line.case === `i-sync-after-polls-${size}-rss`)
    expect(polls.settings.polls).toBeGreaterThan(0)
    expect(polls.value).toBeGreaterThan(0)
  }
  const processes = lines.find((line) => line.case === 'i-sync-poll-git-processes')
  // A poll that had begun when counting did, or had not ended when it did, is counted by half.
  expect(processes.value).toBeGreaterThan(0.5)
  expect(processes.value).toBeLessThan(1.5)
  expect(leftBy(ended)).toEqual([])
})
