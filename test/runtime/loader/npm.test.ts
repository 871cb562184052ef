import { chmodSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runNpm } from '../../../runtime/loader/npm.ts'
import { createSourceFolder, writeFiles } from './source-folder.ts'

test('an install that nobody wants any more is not begun', async () => {
  await using folder = createSourceFolder()
  const directory = join(folder.directory, 'install')
  const npm = `#!/bin/sh\n: > ${directory}/began\n`
  writeFiles(directory, { 'package.json': '{}', 'bin/npm': npm })
  chmodSync(join(directory, 'bin/npm'), 0o755)
  const options = {
    directory,
    cacheDirectory: join(directory, 'cache'),
    allowInstallScripts: false,
    env: { PATH: `${join(directory, 'bin')}:/usr/bin:/bin` },
    signal: AbortSignal.abort(),
  }
  await expect(runNpm(options)).rejects.toMatchObject({ name: 'AbortError' })
  expect(existsSync(join(directory, 'began'))).toBe(false)
})
