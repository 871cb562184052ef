import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { createCredentials } from '../../../sync/credentials/credentials.ts'
import { temporaryFolder } from '../sync-process.ts'

const none = { username: '', password: '', passwordFile: '' }

test.for([
  ['https://u:p@example.com/x.git', 'https://example.com/x.git', 'u', 'p'],
  ['https://u%40x:p%2Fq@example.com:8443/a/b', 'https://example.com:8443/a/b', 'u@x', 'p/q'],
  ['HTTP://token@example.com/x?y@z', 'HTTP://example.com/x?y@z', 'token', ''],
  ['https://u:a@b@example.com/x', 'https://example.com/x', 'u', 'a@b'],
  ['https://u:100%@example.com/x', 'https://example.com/x', 'u', '100%'],
] as const)('user info of %s is split off', async ([repo, bare, username, password]) => {
  const credentials = createCredentials({ ...none, repo })
  expect(credentials.repo).toBe(bare)
  expect(Object.values(await credentials.environment())).toEqual([username, password])
  expect(credentials.gitConfig).toContain('[credential "')
  if (password !== '') expect(credentials.redact(`<${repo}> <${password}>`)).not.toContain(`<${password}>`)
})

test.for(['git@example.com:x/y.git', 'ssh://git@example.com/x', '/a/path@odd', 'https://example.com/@x'])(
  '%s stays as it is, and needs no helper',
  async (repo) => {
    const credentials = createCredentials({ ...none, repo })
    expect([credentials.repo, credentials.gitConfig]).toEqual([repo, ''])
    expect(await credentials.environment()).toEqual({})
  },
)

test('the password file is read anew each time, to its first line break, and hidden ever after', async () => {
  await using folder = await temporaryFolder()
  const passwordFile = join(folder.path, 'password')
  const credentials = createCredentials({
    ...none,
    repo: 'https://example.com/x',
    username: 'u',
    passwordFile,
  })
  for (const password of ['first word', 'second/word']) {
    await writeFile(passwordFile, `${password}\n`)
    expect(Object.values(await credentials.environment())).toEqual(['u', password])
  }
  expect(credentials.redact('first word, first%20word, second/word')).toBe('REDACTED, REDACTED, REDACTED')
  await writeFile(join(folder.path, 'x'), '')
  const absent = createCredentials({
    ...none,
    repo: 'https://e/x',
    username: 'u',
    passwordFile: `${passwordFile}x`,
  })
  await expect(absent.environment()).rejects.toThrow(ConfigError)
})

test('a user in both URL and options is refused', () => {
  const options = { ...none, repo: 'https://u:p@example.com/x', username: 'v', password: 'q' }
  expect(() => createCredentials(options)).toThrow(ConfigError)
})
