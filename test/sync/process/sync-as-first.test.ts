// The program itself as pid 1, in an image that has a shell and no init.
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { programPath } from '../../../runtime/programs.ts'
import { eventually } from '../../support/eventually.ts'
import { createTestRepository } from '../../support/git-server.ts'
import { temporaryFolder } from '../sync-process.ts'
import { childrenOf, type FirstProcess, namespacesMissing, startAsFirst } from './pid-namespace.ts'

const missing = namespacesMissing()
const testAsFirst = test.skipIf(missing !== undefined)
const because = missing === undefined ? '' : ` (skipped: ${missing})`
const notice = 'INFO: detected pid 1, running init handler\n'

/** @param folder where a folder for PATH is made that has no tini */
function startSync(folder: string, args: readonly string[]): Promise<FirstProcess> {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  symlinkSync('/bin/sh', join(bin, 'sh'))
  symlinkSync('/usr/bin/git', join(bin, 'git'))
  return startAsFirst([process.execPath, programPath('sync'), ...args], { PATH: bin, HOME: folder })
}

testAsFirst(`a one-time sync as pid 1 exits with 0${because}`, async () => {
  await using folder = await temporaryFolder()
  await using repository = await createTestRepository()
  const root = join(folder.path, 'root')
  const args = [`--repo=${repository.url}`, `--root=${root}`, '--link=link', '--one-time']
  await using first = await startSync(folder.path, args)
  expect(await first.exit).toBe(0)
  expect(first.stderr().startsWith(notice)).toBe(true)
  expect(await readFile(join(root, 'link/a.txt'), 'utf8')).toBe('one\n')
})

testAsFirst.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
  ['SIGHUP', 129],
] as const)(
  `%s to pid 1 ends the sync with %i within a second, and every process${because}`,
  async (signal, code) => {
    await using folder = await temporaryFolder()
    await using repository = await createTestRepository()
    const root = join(folder.path, 'root')
    const args = [`--repo=${repository.url}`, `--root=${root}`, '--link=link', '--period=10ms']
    await using first = await startSync(folder.path, args)
    await eventually('published', () => existsSync(join(root, 'link/a.txt')))
    const [sync] = childrenOf(first.pid)
    const begin = performance.now()
    process.kill(first.pid, signal)
    expect(await first.exit).toBe(code)
    expect(performance.now() - begin).toBeLessThan(1000)
    expect([first.pid, sync!.pid].filter((pid) => existsSync(`/proc/${pid}`))).toEqual([])
  },
)

testAsFirst(`a wrong flag as pid 1 is exit code 2${because}`, async () => {
  await using folder = await temporaryFolder()
  await using first = await startSync(folder.path, ['--rot=/x'])
  expect(await first.exit).toBe(2)
  expect(first.stderr()).toContain('--root')
})

testAsFirst(`pid 1 without an init to be had ends with 127 and says so${because}`, async () => {
  await using folder = await temporaryFolder()
  const command = [process.execPath, programPath('sync'), '--version'] as const
  await using first = await startAsFirst([...command], { PATH: folder.path, HOME: folder.path })
  expect(await first.exit).toBe(127)
  expect(first.stderr()).toContain('FATAL: unhandled pid1 error: this is pid 1')
})
