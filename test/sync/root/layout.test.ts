import { expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { createLayout, defaultLink } from '../../../sync/root/layout.ts'

test.each([
  ['current', '/data/root/current'],
  ['a/b', '/data/root/a/b'],
  ['../beside', '/data/beside'],
  ['/elsewhere/link', '/elsewhere/link'],
  ['..name', '/data/root/..name'],
  ['.github', '/data/root/.github'],
])('the link %s is %s', (link, path) => {
  expect(createLayout('/data/root', { link }).linkPath).toBe(path)
})

// What is in the place of the link is moved aside, and these directories are somebody's or ours.
test.each([
  '.',
  './',
  '..',
  '../..',
  '/',
  '/data',
  '/data/root',
  '../root',
  '.git',
  '.git/x',
  '.worktrees/x',
])('the link %s is refused', (link) => {
  expect(() => createLayout('/data/root', { link })).toThrow(ConfigError)
})

test.each(['..', '../', '.', '/srv/repos/..', '/srv/work/.git'])(
  'a repository %s whose last part cannot be the link asks for --link',
  (repo) => {
    expect(() => createLayout('/data/root', { link: defaultLink(repo) })).toThrow('--link=current')
  },
)

test.each([
  { link: 'current', errorFile: 'current' },
  { link: 'a/current', touchFile: 'a' },
  { link: 'current', errorFile: '.worktrees' },
  { link: 'current', touchFile: '.' },
  { link: 'current', errorFile: 'same', touchFile: './same' },
])('files that would stand in the place of others are refused: %o', (places) => {
  expect(() => createLayout('/data/root', places)).toThrow(ConfigError)
})
