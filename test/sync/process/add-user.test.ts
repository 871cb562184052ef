import { spawnSync } from 'node:child_process'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { addUser } from '../../../sync/process/add-user.ts'
import { temporaryFolder } from '../sync-process.ts'

const root = 'root:x:0:0:root:/root:/bin/bash\n'

async function passwdFile(text: string): Promise<AsyncDisposable & { path: string }> {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'passwd')
  writeFileSync(path, text)
  return { path, [Symbol.asyncDispose]: folder[Symbol.asyncDispose] }
}

test('a user id without an entry gets one, once', async () => {
  await using passwd = await passwdFile(root)
  const user = { uid: 12345, gid: 65533, home: '/tmp', passwdPath: passwd.path }
  expect(addUser(user)).toBe(true)
  expect(addUser(user)).toBe(false)
  expect(readFileSync(passwd.path, 'utf8')).toBe(`${root}git-sync:x:12345:65533::/tmp:/sbin/nologin\n`)
})

test('a user id with an entry is left alone, whatever its name', async () => {
  await using passwd = await passwdFile(root)
  expect(addUser({ uid: 0, gid: 0, home: '/tmp', passwdPath: passwd.path })).toBe(false)
  expect(readFileSync(passwd.path, 'utf8')).toBe(root)
})

test.each([
  ['a group id', 'other:x:1:12345::/:/bin/sh\n'],
  ['a comment', '#git-sync:x:12345:12345::/:/bin/sh\n'],
  ['the beginning of another id', 'other:x:123456:1::/:/bin/sh\n'],
])('%s is not taken for the user id', async (_, text) => {
  await using passwd = await passwdFile(text)
  expect(addUser({ uid: 12345, gid: 1, home: '/tmp', passwdPath: passwd.path })).toBe(true)
})

test('a last line without its line break is not run into', async () => {
  await using passwd = await passwdFile(root.trimEnd())
  addUser({ uid: 12345, gid: 1, home: '/home/x', passwdPath: passwd.path })
  expect(readFileSync(passwd.path, 'utf8')).toBe(`${root}git-sync:x:12345:1::/home/x:/sbin/nologin\n`)
})

test('what others write into the file at the same time is kept', async () => {
  await using passwd = await passwdFile(root)
  addUser({ uid: 1, gid: 1, home: '/tmp', passwdPath: passwd.path })
  appendFileSync(passwd.path, 'else:x:2:2::/:/bin/sh\n')
  addUser({ uid: 3, gid: 3, home: '/tmp', passwdPath: passwd.path })
  expect(readFileSync(passwd.path, 'utf8').trim().split('\n')).toHaveLength(4)
})

test('a file that cannot be written says what to do instead', async () => {
  await using folder = await temporaryFolder()
  const passwdPath = join(folder.path, 'absent', 'passwd')
  const add = () => addUser({ uid: 12345, gid: 1, home: '/tmp', passwdPath })
  expect(add).toThrow(ConfigError)
  expect(add).toThrow(/cannot add user id 12345 to .*passwd: ENOENT.*readOnlyRootFilesystem/)
})

test('a home directory that would make another entry is refused', async () => {
  await using passwd = await passwdFile(root)
  const home = '/tmp\nroot:x:12345:0::/:/bin/sh'
  expect(() => addUser({ uid: 12345, gid: 1, home, passwdPath: passwd.path })).toThrow(/HOME/)
  expect(readFileSync(passwd.path, 'utf8')).toBe(root)
})

test.skipIf(process.getuid?.() !== 0 || process.platform !== 'linux')(
  'the system knows the user by the entry',
  async () => {
    await using passwd = await passwdFile(root)
    addUser({ uid: 12345, gid: 65533, home: '/tmp', passwdPath: passwd.path })
    const { stdout, stderr } = spawnSync(
      'unshare',
      [
        '--mount',
        'sh',
        '-c',
        `mount --bind ${passwd.path} /etc/passwd && id -nu 12345 && getent passwd 12345`,
      ],
      { encoding: 'utf8' },
    )
    expect(stderr).toBe('')
    expect(stdout).toBe('git-sync\ngit-sync:x:12345:65533::/tmp:/sbin/nologin\n')
  },
)
