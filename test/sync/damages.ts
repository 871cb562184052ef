// What may happen to a root from outside, each made as a person or a crash would make it. The roots publish
// `current` of a repository with `a.txt`, which every commit changes, and `folder/b.txt`, which none does.
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { git } from '../support/git-server.ts'

/** One damage, and what is to be true after its repair. */
export interface Damage {
  name: string
  make(root: string, commit: string): Promise<unknown>
  /** History that the damage needs. */
  depth?: number
  /** What must be true after the repair, beside the whole tree. */
  after?(root: string): Promise<void>
}

const remove = (path: string): Promise<void> => rm(path, { recursive: true })
/** The published link of these tests. */
export const link = (root: string): string => join(root, 'current')
/** Where the worktree of a commit is. */
export const worktree = (root: string, commit: string): string => join(root, '.worktrees', commit)

/** What readers meet: the link and the files behind it. */
export const published: Damage[] = [
  { name: 'the link is removed', make: (root) => remove(link(root)) },
  {
    name: 'the link is replaced by a file',
    make: async (root) => {
      await remove(link(root))
      await writeFile(link(root), 'mine')
    },
    after: async (root) => expect(await readFile(`${link(root)}.before-sync`, 'utf8')).toBe('mine'),
  },
  {
    name: 'the link is replaced by a directory with a file',
    make: async (root) => {
      await remove(link(root))
      await mkdir(link(root))
      await writeFile(join(link(root), 'file'), 'mine')
    },
    after: async (root) => expect(await readFile(`${link(root)}.before-sync/file`, 'utf8')).toBe('mine'),
  },
  {
    name: 'the link is replaced by an empty directory',
    make: async (root) => {
      await remove(link(root))
      await mkdir(link(root))
    },
  },
  {
    name: 'the link names what does not exist',
    make: async (root) => {
      await remove(link(root))
      await symlink(`.worktrees/${'0'.repeat(40)}`, link(root))
    },
  },
  {
    name: 'the link names a folder of others',
    make: async (root) => {
      await remove(link(root))
      await mkdir(join(root, 'theirs'))
      await symlink('theirs', link(root))
    },
    after: async (root) => expect(await readdir(join(root, 'theirs'))).toEqual([]),
  },
  { name: '.worktrees is removed', make: (root) => remove(join(root, '.worktrees')) },
  {
    name: '.worktrees is replaced by a file',
    make: async (root) => {
      await remove(join(root, '.worktrees'))
      await writeFile(join(root, '.worktrees'), '')
    },
  },
  {
    name: 'the worktree is emptied',
    make: async (root, commit) => {
      for (const name of await readdir(worktree(root, commit)))
        await remove(join(worktree(root, commit), name))
    },
  },
  {
    name: 'the worktree is replaced by a file',
    make: async (root, commit) => {
      await remove(worktree(root, commit))
      await writeFile(worktree(root, commit), '')
    },
  },
  {
    name: "the worktree's .git is removed",
    make: (root, commit) => remove(join(worktree(root, commit), '.git')),
  },
  {
    name: "the worktree's .git is garbage",
    make: (root, commit) => writeFile(join(worktree(root, commit), '.git'), 'gitdir: /no/such\n'),
  },
  {
    name: "git's folder of the worktree is removed",
    make: (root, commit) => remove(join(root, '.git/worktrees', commit)),
  },
  {
    name: 'the worktree is at another commit',
    depth: 2,
    make: (root, commit) => git(worktree(root, commit), ['reset', '--quiet', '--hard', 'HEAD~1']),
  },
  {
    name: 'a tracked file is changed',
    make: (root, commit) => writeFile(join(worktree(root, commit), 'folder/b.txt'), 'NEVER changed\n'),
  },
  {
    name: 'a tracked file is deleted',
    make: (root, commit) => remove(join(worktree(root, commit), 'folder/b.txt')),
  },
  { name: 'a folder is deleted', make: (root, commit) => remove(join(worktree(root, commit), 'folder')) },
  {
    name: 'a file is replaced by a directory',
    make: async (root, commit) => {
      await remove(join(worktree(root, commit), 'folder/b.txt'))
      await mkdir(join(worktree(root, commit), 'folder/b.txt'))
    },
  },
]

/** What readers do not meet: they must go on reading while it is mended. */
export const hidden: Damage[] = [
  {
    name: "the worktree's index is removed",
    make: (root, commit) => remove(join(root, '.git/worktrees', commit, 'index')),
  },
  { name: 'the repository is removed', make: (root) => remove(join(root, '.git')) },
  { name: "the repository's HEAD is garbage", make: (root) => writeFile(join(root, '.git/HEAD'), 'garbage') },
  { name: "the repository's HEAD is empty", make: (root) => writeFile(join(root, '.git/HEAD'), '') },
  {
    name: 'the objects are missing',
    make: async (root) => {
      await remove(join(root, '.git/objects'))
      await mkdir(join(root, '.git/objects'))
    },
  },
  {
    name: 'a pack is cut off',
    make: async (root) => {
      const packs = join(root, '.git/objects/pack')
      for (const name of await readdir(packs)) {
        if (name.endsWith('.pack')) {
          await rm(join(packs, name))
          await writeFile(join(packs, name), 'PACK')
        }
      }
    },
  },
  {
    name: "the repository's configuration is garbage",
    make: (root) => writeFile(join(root, '.git/config'), '[co'),
  },
  { name: 'a shallow.lock is left', make: (root) => writeFile(join(root, '.git/shallow.lock'), '') },
  {
    name: 'the draft of a link is left, by git-sync and by us',
    make: async (root) => {
      for (const name of ['tmp-link', '.current.tmp-link']) await symlink('.worktrees/x', join(root, name))
    },
  },
  {
    name: 'files of others are in .worktrees',
    make: async (root) => {
      await mkdir(join(root, '.worktrees/theirs'))
      await writeFile(join(root, '.worktrees/file'), '')
    },
    after: async (root) => {
      const left = () => readdir(join(root, '.worktrees'))
      await eventually('nothing of others', async () => (await left()).length === 1)
    },
  },
]
