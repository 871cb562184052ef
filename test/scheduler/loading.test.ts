// When a scheduler reads its source.
import { renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startScheduler } from '../support/scheduler.ts'

test('a load that takes longer than the beats between is made once, and again when the link changes', async () => {
  let loads = 0
  await using fixture = await startScheduler(
    { '.worktrees/one/d.ts': moduleOf('one'), '.worktrees/two/d.ts': moduleOf('two') },
    {},
    {
      publish: '.worktrees/one',
      aroundLoad: async (load) => {
        loads += 1
        await delay(700)
        return load()
      },
    },
  )
  // Several beats (of 300 ms) later nothing was read again.
  await delay(1_500)
  expect(loads).toBe(1)

  const link = join(fixture.directory, 'source', 'current')
  symlinkSync('.worktrees/two', `${link}.new`)
  renameSync(`${link}.new`, link)
  await eventually('the second version', async () => {
    const { rows } = await fixture.db.query('select 1 from dag_version where version_number = 2')
    return rows.length === 1
  })
  expect(loads).toBe(2)
})

const moduleOf = (text: string) => `
  import { dag, task } from 'branchline'
  export default dag('d', {}, () => { task('t', () => '${text}') })
`
