// Read back by git itself: what it makes of the variables is what counts.
import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { createLogger } from '../../../runtime/log.ts'
import { createGit } from '../../../sync/git/git.ts'
import { gitConfigVariables } from '../../../sync/git/git-config-variables.ts'

/** `key=value` of each entry that git finds in its environment. */
function readByGit(environment: Record<string, string>): string[] {
  const env = {
    PATH: process.env.PATH,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    ...environment,
  }
  const text = execFileSync('git', ['config', '--list', '-z'], { env, cwd: '/', encoding: 'utf8' })
  return text
    .split('\0')
    .slice(0, -1)
    .map((entry) => entry.replace('\n', '='))
}

test('git finds keys and values as they were given, of a key given twice the last value', () => {
  const entries = [
    { key: 'http.extraHeader', value: 'X: replaced' },
    { key: 'a.B c.d"e.key', value: ' with "quotes", \\ and\nlines ' },
    { key: 'HTTP.extraheader', value: 'X: counts' },
    { key: 'empty.value', value: '' },
  ]
  expect(readByGit(gitConfigVariables(entries, {}))).toEqual([
    'http.extraheader=X: counts',
    'a.B c.d"e.key= with "quotes", \\ and\nlines ',
    'empty.value=',
  ])
})

test('what the environment has of such variables stays', () => {
  const before = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'x.y', GIT_CONFIG_VALUE_0: 'kept' }
  const added = gitConfigVariables([{ key: 'x.z', value: 'added' }], before)
  expect(readByGit({ ...before, ...added })).toEqual(['x.y=kept', 'x.z=added'])
  expect(gitConfigVariables([], before)).toEqual({})
})

test.for(['key', 'a.', 'a.1b', 'a_b.c', 'a.b\nc.d', ''])('the key %j is refused', (key) => {
  expect(() => gitConfigVariables([{ key, value: 'hunter2' }], {})).toThrow(ConfigError)
  expect(() => gitConfigVariables([{ key, value: 'hunter2' }], {})).not.toThrow('hunter2')
})

test('a key that may be the rest of a value with a comma is not quoted, nor one with a password', () => {
  const first = { key: 'http.extraHeader', value: 'Cookie: a=b' }
  for (const entries of [
    [first, { key: 'hunter2', value: 'x' }],
    [{ key: 'url https://u:hunter2@h', value: '' }],
  ]) {
    expect(() => gitConfigVariables(entries, {})).toThrow(ConfigError)
    expect(() => gitConfigVariables(entries, {})).not.toThrow('hunter2')
  }
})

// Keys that the library which runs git takes for an attack, where it does not know who set them.
const dangerous = [
  ...[
    'alias.x',
    'core.askPass',
    'core.editor',
    'core.fsmonitor',
    'core.gitProxy',
    'core.hooksPath',
    'core.pager',
  ],
  ...[
    'core.sshCommand',
    'credential.https://h.helper',
    'credential.helper',
    'diff.x.command',
    'diff.external',
  ],
  ...['difftool.x.cmd', 'diff.x.textconv', 'filter.x.clean', 'filter.lfs.process', 'filter.lfs.smudge'],
  ...['gpg.program', 'includeIf.gitdir:/x.path', 'init.templateDir', 'pager.log', 'merge.x.driver'],
  ...['mergetool.x.cmd', 'protocol.file.allow', 'remote.x.receivepack', 'remote.x.uploadpack'],
  ...[
    'uploadpack.packObjectsHook',
    'sequence.editor',
    'submodule.x.update',
    'tar.x.command',
    'trailer.x.cmd',
  ],
  ...['url.https://h/.insteadOf', 'http.extraHeader'],
]

test.for(dangerous)('git is run with %s, which is for the operator to choose', async (key) => {
  const environment = { PATH: process.env.PATH!, ...gitConfigVariables([{ key, value: 'never' }], {}) }
  const log = createLogger('sync', { level: 'silent' })
  const { signal } = new AbortController()
  const git = createGit({ binary: 'git', root: '/', environment, signal, redact: (text) => text, log })
  expect(await git.version()).toMatch(/^git version/)
})
