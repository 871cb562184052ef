// Readers and the remover of worktrees meeting at one commit, in each order.
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { NotFoundError } from '../../../runtime/errors.ts'
import { holdWorktree, readLeases, worktreeOf } from '../../../runtime/worktree-lease.ts'
import { closeToReaders, forgetLeases, openToReaders } from '../../../sync/root/leases.ts'
import { eventually } from '../../support/eventually.ts'
import { asCommitSha } from '../commit-sha.ts'
import { temporaryFolder } from '../sync-process.ts'

const commit = asCommitSha('0123456789'.repeat(4))

async function createWorktree() {
  const folder = await temporaryFolder()
  const sourcePath = join(folder.path, '.worktrees', commit)
  await mkdir(sourcePath, { recursive: true })
  return { root: folder.path, sourcePath, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
}

test('a held worktree stays open, a released one is closed to further readers until it is opened again', async () => {
  await using worktree = await createWorktree()
  const { root, sourcePath } = worktree
  const lease = await holdWorktree({ sourcePath, owner: 'scheduler/a' })
  expect((await closeToReaders(root, commit, Date.now())).map(({ owner }) => owner)).toEqual(['scheduler/a'])
  await lease!.release()
  await lease!.release()
  expect(await closeToReaders(root, commit, Date.now())).toEqual([])

  await expect(holdWorktree({ sourcePath, owner: 'late' })).rejects.toThrow(NotFoundError)
  expect(await readLeases(root, commit, Date.now())).toEqual([])

  await openToReaders(root, commit)
  await using again = await holdWorktree({ sourcePath, owner: 'late' })
  expect(again?.commit).toBe(commit)
})

test('of a reader and a remover that come at the same moment, never both succeed', async () => {
  await using worktree = await createWorktree()
  const { root, sourcePath } = worktree
  for (let round = 0; round < 100; round += 1) {
    const [lease, held] = await Promise.all([
      holdWorktree({ sourcePath, owner: 'reader' }).catch(() => undefined),
      closeToReaders(root, commit, Date.now()),
    ])
    const isClosed = held.length === 0
    expect(lease !== undefined && isClosed).toBe(false)
    await lease?.release()
    await openToReaders(root, commit)
  }
})

test('a lease is renewed while it is held, and ends by itself when its owner is gone', async () => {
  await using worktree = await createWorktree()
  const { root, sourcePath } = worktree
  await using _ = await holdWorktree({ sourcePath, owner: 'alive', leaseMs: 60 })
  const path = join(root, '.leases', commit, 'alive.json')
  const first = JSON.parse(await readFile(path, 'utf8'))
  expect(Object.keys(first)).toEqual(['owner', 'time', 'expires_at'])
  await eventually('a renewal', async () => {
    const now = JSON.parse(await readFile(path, 'utf8'))
    return now.time > first.time || undefined
  })
  await writeFile(join(root, '.leases', commit, 'dead.json'), JSON.stringify({ ...first, owner: 'dead' }))
  const afterwards = Date.parse(first.expires_at) + 1
  expect((await readLeases(root, commit, afterwards)).map(({ owner }) => owner)).not.toContain('dead')
})

test('a lease that cannot be read counts for a while', async () => {
  await using worktree = await createWorktree()
  await mkdir(join(worktree.root, '.leases', commit), { recursive: true })
  await writeFile(join(worktree.root, '.leases', commit, 'odd.json'), 'half a l')
  expect(await readLeases(worktree.root, commit, Date.now())).toHaveLength(1)
  expect(await readLeases(worktree.root, commit, Date.now() + 3_600_000)).toEqual([])
})

test('a worktree that is gone cannot be held, and a plain directory need not be', async () => {
  await using worktree = await createWorktree()
  const gone = join(worktree.root, '.worktrees', 'f'.repeat(40))
  await expect(holdWorktree({ sourcePath: gone, owner: 'x' })).rejects.toThrow(
    /Read the published link again/,
  )
  expect(await holdWorktree({ sourcePath: worktree.root, owner: 'x' })).toBeUndefined()
  expect(worktreeOf(worktree.sourcePath)).toEqual({ root: worktree.root, commit })
  await forgetLeases(worktree.root, commit)
  expect(existsSync(join(worktree.root, '.leases', commit))).toBe(false)
})
