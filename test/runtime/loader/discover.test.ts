import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { discoverDagModules } from '../../../runtime/loader/discover.ts'
import { FileHashes } from '../../../runtime/loader/file-hashes.ts'
import { createSourceFolder, dagModule } from './source-folder.ts'

async function discover(root: string, dagsFolder = 'dags') {
  const hashes = new FileHashes()
  hashes.beginPass()
  return await discoverDagModules({ root, dagsFolder, ignoreFile: '.branchlineignore', hashes })
}

test('Dag modules are the .ts, .mts, .js and .mjs files that name the module, at any depth', async () => {
  await using folder = createSourceFolder()
  const text = dagModule('x')
  const root = folder.publish({
    'dags/a.ts': text,
    'dags/team/deep/b.mts': text,
    'dags/c.js': text,
    'dags/d.mjs': text,
    'dags/double.ts': text.replaceAll("'", '"'),
    'dags/helper.ts': 'export const branchline = 1',
    'dags/view.tsx': text,
    'dags/a.test.ts': text,
    'dags/types.d.ts': text,
    'dags/.hidden/e.ts': text,
    'dags/node_modules/p/f.ts': text,
    'elsewhere/g.ts': text,
  })
  expect((await discover(root)).files).toEqual([
    'dags/a.ts',
    'dags/c.js',
    'dags/d.mjs',
    'dags/double.ts',
    'dags/team/deep/b.mts',
  ])
  expect((await discover(root, '.')).files).toContain('elsewhere/g.ts')
})

test('ignore files hold for their folder and below, and the deeper one has the last word', async () => {
  await using folder = createSourceFolder()
  const text = dagModule('x')
  const root = folder.publish({
    'dags/.branchlineignore': '# comment\ndrafts/\n*_old.ts\n',
    'dags/a.ts': text,
    'dags/a_old.ts': text,
    'dags/drafts/b.ts': text,
    'dags/team/.branchlineignore': '!keep_old.ts\nc.ts\n',
    'dags/team/keep_old.ts': text,
    'dags/team/c.ts': text,
    'dags/c.ts': text,
  })
  expect((await discover(root)).files).toEqual(['dags/a.ts', 'dags/c.ts', 'dags/team/keep_old.ts'])
})

test('links are followed within the source, once, and not out of it', async () => {
  await using folder = createSourceFolder()
  const root = folder.publish({ 'dags/a.ts': dagModule('a'), 'shared/b.ts': dagModule('b') })
  mkdirSync(join(folder.directory, 'outside'))
  writeFileSync(join(folder.directory, 'outside', 'c.ts'), dagModule('c'))
  symlinkSync('../shared', join(root, 'dags', 'linked'))
  symlinkSync('..', join(root, 'dags', 'loop'))
  symlinkSync(join(folder.directory, 'outside'), join(root, 'dags', 'out'))
  symlinkSync(join(folder.directory, 'outside', 'c.ts'), join(root, 'dags', 'c.ts'))
  symlinkSync('nowhere', join(root, 'dags', 'broken.ts'))
  symlinkSync('circle.ts', join(root, 'dags', 'circle.ts'))
  const { files, errors } = await discover(root)
  expect(errors).toEqual([])
  expect(files.filter((file) => !file.includes('loop'))).toEqual(['dags/a.ts', 'dags/linked/b.ts'])
  expect(files.length).toBe(2)
})

test('a dags folder that does not exist is an import error with the nearest name, and nothing goes away', async () => {
  await using folder = createSourceFolder()
  folder.publish({ 'dags/a.ts': dagModule('a') })
  const { errors } = await discover(folder.root, 'dag')
  expect(errors).toMatchObject([{ file: 'dag', hint: expect.stringContaining("Did you mean 'dags'?") }])

  const loader = folder.loader()
  await loader.load()
  folder.publish({ 'dags/a.ts': null, 'README.md': '' })
  const result = await loader.load()
  expect(result.dags.map(({ dag_id }) => dag_id)).toEqual(['a'])
  expect(result).toMatchObject({ failed_files: ['dags'], import_errors: [{ file: 'dags', dag_ids: ['a'] }] })
})

test('a dags folder that leads out of the source is refused', async () => {
  await using folder = createSourceFolder()
  const root = folder.publish({ 'dags/a.ts': dagModule('a') })
  expect((await discover(root, '..')).errors).toMatchObject([
    { message: expect.stringContaining('leads out') },
  ])
})
