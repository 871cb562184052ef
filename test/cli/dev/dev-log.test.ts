import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDevLog } from '../../../cli/dev/dev-log.ts'

const line = (text: string) => ({ program: 'web', stream: 'stdout', text }) as const

test('each line of a program is a line of JSON', () => {
  const directory = mkdtempSync(join(tmpdir(), 'branchline-dev-log-'))
  try {
    const log = openDevLog(join(directory, 'dev.log'))
    log.write(line('{"a":1}'))
    log.write(line('words'))
    log.close()
    const lines = readFileSync(log.path, 'utf8').trimEnd().split('\n')
    expect(lines.map((text) => JSON.parse(text))).toMatchObject([{ a: 1 }, { logger: 'web', msg: 'words' }])
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a full disk loses lines and ends nothing', () => {
  // Every write to it fails as on a full disk.
  const log = openDevLog('/dev/full')
  log.write(line('one'))
  log.write(line('two'))
  log.close()
})
