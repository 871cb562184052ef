// `branchline dev` on a plain directory, which has the data directory in it, as by default.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type DevProcess, startDev, taskSaid } from '../../support/dev-process.ts'

let folder: string
let dev: DevProcess

const talker = (word: string) => `
  import { dag, task } from 'branchline'
  export default dag('talker', { schedule: { every: '1s' } }, () => {
    task('say', ({ log }) => log.info('${word}'))
  })`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'branchline-dev-directory-'))
  await writeFile(join(folder, 'talker.ts'), talker('one'))
})

afterAll(async () => {
  await dev?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

test('what is saved in the directory is what runs', async () => {
  dev = startDev(['--web-port', '0'], { cwd: folder })
  await dev.said(/follows +this directory/)
  await dev.said(/1 Dag:\n {2}talker +every 1s/)
  const dataDir = join(folder, '.branchline')
  await taskSaid({ dataDir, dagId: 'talker', taskId: 'say', msg: 'one' })
  await writeFile(join(folder, 'talker.ts'), talker('two'))
  await dev.said(/live: talker is version 2/)
  await taskSaid({ dataDir, dagId: 'talker', taskId: 'say', msg: 'two' })
})

test('what programs write into the data directory is no change of the source', async () => {
  await writeFile(
    join(folder, 'other.ts'),
    `import { dag } from 'branchline'; export default dag('other', {}, () => {})`,
  )
  const from = dev.output().length
  await dev.said(/other is new/)
  // Many runs have ended since, each of which wrote logs and rows.
  await dev.said(/(✓ talker [\s\S]*){3}/, from)
  expect(dev.output().slice(from).match(/live:/g) ?? []).toHaveLength(1)
})

test('ctrl-C ends it, and a start without Dags says so', async () => {
  expect(await dev.stop()).toBeLessThan(6_000)
  expect((await dev.ended).code).toBe(0)
  const empty = join(folder, 'empty')
  await mkdir(empty)
  await using other = startDev(['empty', '--data-dir', join(folder, '.branchline'), '--web-port', '0'], {
    cwd: folder,
  })
  await other.said(/follows +empty/)
})

test.each([
  { args: ['nowhere'], code: 2, says: /there is no directory \S+nowhere/ },
  { args: ['--repo', './nowhere'], code: 2, says: /there is no repository at \S+nowhere/ },
  { args: ['.', '--repo', '.'], code: 2, says: /both --repo \. and the directory \. are named/ },
  { args: ['--ref', 'main'], code: 2, says: /name that with --repo/ },
  { args: ['--demo', '.'], code: 2, says: /--demo follows its own repository/ },
  { args: ['--web-prot', '1'], code: 2, says: /--web-port/ },
  { args: ['--web-port', 'many'], code: 2, says: /web_port \(flag --web-port\): "many" is not understood/ },
])('$args is refused with exit code $code', async ({ args, code, says }) => {
  const ended = await startDev(args, { cwd: folder }).ended
  expect(ended.output).toMatch(says)
  expect(ended.code).toBe(code)
})

test('a data directory of another release is refused', async () => {
  const dataDir = join(folder, 'foreign')
  await mkdir(dataDir)
  await writeFile(join(dataDir, 'dev.json'), JSON.stringify({ layout_version: 99, branchline: '9.9.9' }))
  const { code, output } = await startDev(['--data-dir', dataDir], { cwd: folder }).ended
  expect(output).toMatch(/says layout version 99, of release 9\.9\.9\. Use the release that made it/)
  expect(code).toBe(2)
})
