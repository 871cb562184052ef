// `branchline dags test`: a Dag module of a directory, run as it stands.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { cli } from './cli-process.ts'

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'branchline-dags-test-')))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

for (const [file, text] of Object.entries({
  'package.json': '{}',
  'data.txt': 'four words in here',
  'lib/fail.ts': `export function fail(): never {\n  throw new Error('no such region')\n}\n`,
  'dags/words.ts': `
    import { bash, dag, group, task } from 'branchline'
    import { readFileSync } from 'node:fs'
    import { join } from 'node:path'
    export default dag('words', { params: { times: 1 } }, () => {
      const count = task('count', ({ log, params, logicalDate }) => {
        const text = readFileSync(join(import.meta.dirname, '../data.txt'), 'utf8')
        log.info('counted', { date: logicalDate?.toISOString() })
        return text.split(' ').length * Number(params.times)
      })
      group('say', () => {
        bash('it', 'cat data.txt; echo " $count"', { inputs: { count } })
      })
    })
    setInterval(() => {}, 1000)
  `,
  'dags/two.ts': `
    import { dag, task } from 'branchline'
    import { fail } from '../lib/fail.ts'
    export const dags = [
      dag('good', {}, () => { task('fine', () => 1) }),
      dag('bad', {}, () => { task('fails', () => fail()) }),
    ]
  `,
  'dags/throws.ts': `import { fail } from '../lib/fail.ts'\nfail()\n`,
  'dags/typo.ts': `import { dag, tsk } from 'branchline'\nexport default dag('x', {}, () => tsk())\n`,
  'dags/none.ts': `export const nothing = 1\n`,
})) {
  mkdirSync(dirname(join(directory, file)), { recursive: true })
  writeFileSync(join(directory, file), text)
}

const dagsTest = (...args: string[]) => cli(['dags', 'test', ...args], { cwd: directory })

test('a Dag runs to its end with params and date, reads its files, and prints what it logged', async () => {
  const run = await dagsTest('dags/words.ts', '--param', 'times=2', '--logical-date', '2026-01-31')
  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(run.stdout.replace(/\d+\.\d+s/, '0.00s')).toMatchInlineSnapshot(`
    "count
      INFO  counted date=2026-01-31T00:00:00.000Z

    say.it
      INFO  four words in here 8

    words  ✓ success  0.00s
    ✓ count  success
    ▾ say    1 of 1
      ✓ it   success
    "
  `)
  const json = await dagsTest('dags/words.ts', '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({
    dag_id: 'words',
    state: 'success',
    tasks: { count: { state: 'success', result: 4 } },
  })
})

test('a failed run ends with 1 and the stack of the user alone, by file and line', async () => {
  const { code, stdout } = await dagsTest('dags/two.ts', 'bad')
  expect(code).toBe(1)
  expect(stdout).toMatch(/^bad {2}✗ failed/m)
  const stack = stdout.split('\n').filter((line) => line.trimStart().startsWith('at '))
  expect(stack).toHaveLength(2)
  expect(stack[0]).toContain(`${join(directory, 'lib/fail.ts')}:2:`)
  expect(stack[1]).toContain(`${join(directory, 'dags/two.ts')}:`)
})

test.each([
  [['dags/two.ts'], 3, 'say which'],
  [['dags/two.ts', 'god'], 3, "Did you mean 'good'?"],
  [['dags/none.ts'], 3, 'exports no Dag'],
  [['dags/missing.ts'], 3, 'there is no file'],
  [['dags/throws.ts'], 1, 'lib/fail.ts:2:'],
  [['dags/typo.ts'], 1, "Did you mean 'task'?"],
])('%j ends with %i and says %j', async (args, code, words) => {
  expect(await dagsTest(...args)).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(words) })
})
