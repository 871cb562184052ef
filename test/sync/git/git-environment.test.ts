// What our own git finds in its environment, and what the operator's programs find there: real git tells.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { gitEnvironment, hookEnvironment } from '../../../sync/git/git-environment.ts'
import { temporaryFolder } from '../sync-process.ts'

const run = promisify(execFile)
const ssh = { keyFiles: [], knownHosts: true, knownHostsFile: '/dev/null', verbosity: 0 }

/** What git has for the key; empty where it has nothing. */
async function configOf(key: string, env: NodeJS.ProcessEnv): Promise<string> {
  return run('git', ['config', '--get', key], { env, cwd: '/' }).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  )
}

async function environments(base: NodeJS.ProcessEnv) {
  const root = await temporaryFolder()
  const gitConfigPath = join(root.path, 'config')
  await writeFile(gitConfigPath, '')
  const options = { base: { PATH: process.env.PATH, ...base }, root: root.path, gitConfigPath, ssh }
  return {
    own: gitEnvironment({ ...options, withheld: [] }),
    hooks: hookEnvironment(options),
    [Symbol.asyncDispose]: root[Symbol.asyncDispose],
  }
}

test("our git runs no hooks, and the git of the operator's programs does", async () => {
  await using given = await environments({
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'http.postBuffer',
    GIT_CONFIG_VALUE_0: '7',
  })
  expect(await configOf('core.hooksPath', given.own)).toBe('/dev/null')
  expect(await configOf('core.hooksPath', given.hooks)).toBe('')
  expect(await configOf('http.postBuffer', given.own)).toBe('7')
  expect(await configOf('http.postBuffer', given.hooks)).toBe('7')
})

test('the operator may name a folder of hooks', async () => {
  await using given = await environments({
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'core.hookspath',
    GIT_CONFIG_VALUE_0: '/hooks',
  })
  expect(await configOf('core.hooksPath', given.own)).toBe('/hooks')
})

test('ssh may ask a program for a passphrase, and never a person', async () => {
  await using without = await environments({})
  expect(without.own.GIT_SSH_COMMAND).toContain('BatchMode=yes')
  await using having = await environments({ SSH_ASKPASS: '/bin/answer' })
  expect(having.own.SSH_ASKPASS).toBe('/bin/answer')
  expect(having.own.GIT_SSH_COMMAND).not.toContain('BatchMode')
})
