// Modules and tasks that would take the scheduler with them: by what they say, throw, return or write to the
// runner's descriptors.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SchedulerFixture, startScheduler } from '../support/scheduler.ts'

const modules = {
  'hostile.ts': `
    import { dag, task } from 'branchline'
    import { closeSync, writeSync } from 'node:fs'
    const one = (id: string, run: () => unknown) => dag(id, {}, () => { task('t', run) })
    export const nul = one('nul', () => { throw new Error('a \\0 b \\ud800 c') })
    export const trap = one('trap', () => { throw new Proxy({}, { get() { throw new Error('trap') } }) })
    export const deep = one('deep', () => JSON.parse('['.repeat(50_000) + ']'.repeat(50_000)))
    export const replaced = one('replaced', () => { JSON.stringify = () => 'HA'; return { a: 1 } })
    export const garbage = one('garbage', () => {
      writeSync(4, 'garbage\\nnull\\n{"type":"start","attempt_id":"9/t/-1/1","token":"x","start_ms":1}\\n')
      writeSync(4, '{"type":"revoked","attempt_ids":["9/t/-1/1"]}\\n{"type":"finish"}\\n')
      return 'fine'
    })
    export const deaf = dag('deaf', {}, () => {
      const closes = task('closes', () => closeSync(3))
      task('after', { after: [closes] }, () => 1)
    })
    export const good = one('good', () => 1)`,
  'nul-manifest.ts': `
    import { dag } from 'branchline'
    export default dag('nul-manifest', { description: 'a \0 b' }, () => {})`,
  'nul-thrown.ts': `
    import { dag } from 'branchline'
    dag('nul-thrown', {}, () => {})
    throw new Error('a \0 b \ud800 c')`,
}

let fixture: SchedulerFixture
beforeAll(async () => {
  // One slot, so that what comes after is given to the runner that something was done to.
  fixture = await startScheduler(modules, {
    BRANCHLINE_LOCAL_EXECUTOR_SLOTS: '1',
    BRANCHLINE_TASK_HEARTBEAT_INTERVAL: '100ms',
    BRANCHLINE_TASK_HEARTBEAT_TIMEOUT: '1s',
  })
})
afterAll(() => fixture[Symbol.asyncDispose]())

const failureOf = async (dagId: string) => {
  expect(await fixture.run(dagId)).toBe('failed')
  const [attempt] = await fixture.attempts(dagId, 'run')
  return attempt!.error!.message
}

test('an error whose text Postgres cannot keep is kept without what it cannot', async () => {
  expect(await failureOf('nul')).toBe('a \ufffd b \ufffd c')
})

test('something thrown that throws when it is looked at fails its attempt', async () => {
  expect(await failureOf('trap')).toContain('something was thrown that cannot be looked at')
})

test('a result nested too deep for Postgres fails its task', async () => {
  expect(await failureOf('deep')).toContain('nested more than 1000 levels deep')
})

test('a task that replaces JSON.stringify is reported all the same', async () => {
  await fixture.run('replaced')
  expect((await fixture.attempts('replaced', 'run')).map(({ end_date }) => end_date)).not.toContain(null)
})

test('lines that are no reports of its own attempts change nothing', async () => {
  expect(await fixture.run('garbage')).toBe('success')
  expect(await fixture.attempts('garbage', 'run')).toHaveLength(1)
})

test('what a runner that hears nothing any more was given goes to another', async () => {
  expect(await fixture.run('deaf')).toBe('success')
  expect(await fixture.attempts('deaf', 'run')).toHaveLength(2)
})

test('a module whose texts Postgres cannot keep is an import error, and the others load', async () => {
  const { rows } = await fixture.db.query<{ file: string; message: string }>(
    'select file, message from import_error order by file',
  )
  expect(rows.map(({ file }) => file)).toEqual(['nul-manifest.ts', 'nul-thrown.ts'])
  expect(rows[0]!.message).toContain('NUL character')
  expect(rows[1]!.message).toBe('a \ufffd b \ufffd c')
})

test('none of them took the scheduler with them', async () => {
  expect(await fixture.run('good')).toBe('success')
})
