import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createListenSecrets } from '../../../sync/http/listen-secrets.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'branchline-listen-secrets-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test('each line of the file is a secret, and the file is read at each call', async () => {
  const secretFile = join(folder, 'secrets')
  await writeFile(secretFile, 'first\n')
  const secrets = createListenSecrets({ secretFile, secret: 'not this one' })
  expect(await secrets()).toEqual(['first'])
  await writeFile(secretFile, 'first\r\n\nsecond with spaces \n')
  expect(await secrets()).toEqual(['first', 'second with spaces '])
})

test('without a file, the secrets are the lines of the variable', async () => {
  expect(await createListenSecrets({ secretFile: '', secret: 'one\ntwo' })()).toEqual(['one', 'two'])
})

test('no secret at all is refused: an open listener is nobody’s wish', async () => {
  const empty = join(folder, 'empty')
  await writeFile(empty, '\n\n')
  await expect(createListenSecrets({ secretFile: '', secret: '\n' })()).rejects.toThrow(
    '$GITSYNC_LISTEN_SECRET holds no secret',
  )
  await expect(createListenSecrets({ secretFile: empty, secret: 'x' })()).rejects.toThrow('holds no secret')
  await expect(createListenSecrets({ secretFile: join(folder, 'absent'), secret: '' })()).rejects.toThrow(
    /--listen-secret-file .*absent cannot be read: .*ENOENT/,
  )
})
