// What the program prints of its options, where it prints it, and the exit code.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { manualText } from '../../../sync/options/manual.ts'
import { startSync, temporaryFolder } from '../sync-process.ts'

test('--man prints the whole manual, whatever else is asked for, and exits with 0', async () => {
  await using sync = startSync(['--man', '--depth=-1'], { GIT_SYNC_REPO: 'x' })
  expect(await sync.exit).toBe(0)
  expect(sync.stdout()).toBe(manualText())
  expect(sync.stderr()).toBe('env $GIT_SYNC_REPO has been deprecated, use $GITSYNC_REPO instead\n')
})

test('what is deprecated is told on stderr before what is wrong', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(['--root', root.path, '--branch=b', '--rev=v'], { GIT_SYNC_REPO: '/x' })
  expect(await sync.exit).toBe(1)
  expect(sync.stderr().split('\n').slice(0, 4)).toEqual([
    'env $GIT_SYNC_REPO has been deprecated, use $GITSYNC_REPO instead',
    'Flag --branch has been deprecated, use --ref instead',
    'Flag --rev has been deprecated, use --ref instead',
    expect.stringMatching(/^deprecated flag combo: /),
  ])
})

test('a misspelt variable ends the start, and the error file has the bare text', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(['--root', root.path, '--error-file=error'], { GITSYNC_REPOO: '/x' })
  expect(await sync.exit).toBe(1)
  const text = await readFile(join(root.path, 'error'), 'utf8')
  expect(text).toMatch(/^invalid environment: env \$GITSYNC_REPOO .* Did you mean 'GITSYNC_REPO'\?/)
  expect(sync.stderr()).toContain(text)
})
