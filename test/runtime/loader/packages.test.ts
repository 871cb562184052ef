import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { installOnce } from '../../../runtime/loader/install-once.ts'
import { createSourceFolder, dagModule, type SourceFolder, writeFiles } from './source-folder.ts'

const npmFlags = ['--no-audit', '--no-fund', '--offline', '--ignore-scripts', '--silent']

/** A tarball of the package, as `npm pack` makes it, in latin1 so that it can stand among text files. */
function pack(folder: SourceFolder, files: Record<string, string>): string {
  const directory = join(folder.directory, 'packed')
  writeFiles(directory, files)
  const name = execFileSync('npm', ['pack', '--silent'], { cwd: directory, encoding: 'utf8' }).trim()
  return readFileSync(join(directory, name), 'latin1')
}

const poemFiles = (scripts: Record<string, string> = {}) => ({
  'package.json': JSON.stringify({ name: 'poem', version: '1.0.0', main: 'index.js', scripts }),
  // CommonJS that needs a module of Node's own.
  'index.js': "const { join } = require('path')\nexports.line = (n) => join('rose', 'line', String(n))\n",
})

/** A repository whose package.json names the tarball, with the lockfile that npm makes of it. */
function publishWithPackage(folder: SourceFolder, scripts: Record<string, string> = {}): void {
  const tarball = pack(folder, poemFiles(scripts))
  const root = join(folder.directory, 'repository')
  mkdirSync(join(root, 'vendor'), { recursive: true })
  writeFileSync(join(root, 'vendor', 'poem.tgz'), tarball, 'latin1')
  const manifest = {
    name: 'repository',
    dependencies: { poem: 'file:vendor/poem.tgz', local: 'file:./packages/local' },
  }
  writeFiles(root, {
    'package.json': JSON.stringify(manifest),
    'packages/local/package.json': JSON.stringify({ name: 'local', version: '1.0.0', main: 'main.js' }),
    'packages/local/main.js': "export const local = 'local'\n",
  })
  execFileSync('npm', ['install', '--package-lock-only', ...npmFlags], { cwd: root })
  folder.publish({
    'package.json': readFileSync(join(root, 'package.json'), 'utf8'),
    'package-lock.json': readFileSync(join(root, 'package-lock.json'), 'utf8'),
    'packages/local/package.json': readFileSync(join(root, 'packages/local/package.json'), 'utf8'),
    'packages/local/main.js': readFileSync(join(root, 'packages/local/main.js'), 'utf8'),
    'dags/poem.ts': dagModule(
      'poem',
      "import { line } from 'poem'",
      "if (line(1) !== 'rose/line/1') throw line(1)",
    ),
    'dags/plain.ts': dagModule('plain'),
  })
  addTarball(folder, tarball)
}

function addTarball(folder: SourceFolder, tarball: string): void {
  mkdirSync(join(folder.root, 'vendor'), { recursive: true })
  writeFileSync(join(folder.root, 'vendor', 'poem.tgz'), tarball, 'latin1')
}

const installed = (folder: SourceFolder) =>
  existsSync(folder.packagesDir)
    ? readdirSync(folder.packagesDir).filter((name) => /^[0-9a-f]{64}$/.test(name))
    : []

test('packages are installed once for the content of the lockfile, and bundled', async () => {
  await using folder = createSourceFolder()
  publishWithPackage(folder)
  const loader = folder.loader()
  const first = await loader.load()
  expect(first.import_errors).toEqual([])
  expect(first.dags.map(({ dag_id }) => dag_id)).toEqual(['plain', 'poem'])
  expect(installed(folder).length).toBe(1)
  const code = readFileSync(first.dags[1]!.bundle_path, 'utf8')
  expect(code).toContain('node_modules/poem/index.js')
  expect(code).not.toContain(folder.packagesDir)

  // Another commit has them already: with its tarball missing, an install would fail.
  folder.publish({
    'README.md': 'x',
    'dags/local.ts': dagModule('local', "import { local } from 'local'", 'local'),
  })
  const second = await loader.load()
  expect(second.import_errors).toEqual([])
  expect(second).toMatchObject({ rebuilt: 1 })
  expect(second.dags.find(({ dag_id }) => dag_id === 'poem')).toEqual(first.dags[1])
  expect(installed(folder).length).toBe(1)
})

test('install scripts run only where they are allowed', async () => {
  await using folder = createSourceFolder()
  publishWithPackage(folder, { postinstall: 'echo ran > ran.txt' })
  expect((await folder.loader().load()).import_errors).toEqual([])
  const [forbidden] = installed(folder)
  expect(existsSync(join(folder.packagesDir, forbidden!, 'node_modules/poem/ran.txt'))).toBe(false)
  expect((await folder.loader({ allowInstallScripts: true }).load()).import_errors).toEqual([])
  const allowed = installed(folder).find((key) => key !== forbidden)
  expect(existsSync(join(folder.packagesDir, allowed!, 'node_modules/poem/ran.txt'))).toBe(true)
})

test("an install that fails is an import error of package.json in npm's words, and other Dags load", async () => {
  await using folder = createSourceFolder()
  publishWithPackage(folder)
  writeFiles(folder.root, { 'vendor/poem.tgz': 'not what the lockfile knows' })
  const result = await folder.loader().load()
  expect(result.dags.map(({ dag_id }) => dag_id)).toEqual(['plain'])
  expect(result.import_errors).toMatchObject([
    { file: 'dags/poem.ts', line: 2, hint: expect.stringContaining('package.json') },
    { file: 'package.json', message: expect.stringMatching(/^npm ci ended with exit code 1\n.*EINTEGRITY/) },
  ])
  expect(result.failed_files).toEqual(['dags/poem.ts'])
  expect(installed(folder)).toEqual([])
  expect(
    readdirSync(folder.packagesDir).filter((name) => name.includes('.tmp') || name.includes('.lock')),
  ).toEqual([])
})

test("packages are taken from the repository's own node_modules where it has one", async () => {
  await using folder = createSourceFolder()
  folder.publish({
    'dags/poem.ts': dagModule('poem', "import { line } from 'poem'", 'line(1)'),
    'node_modules/poem/package.json': poemFiles()['package.json'],
    'node_modules/poem/index.js': poemFiles()['index.js'],
  })
  const loader = folder.loader()
  const result = await loader.load()
  expect(result.import_errors).toEqual([])
  folder.publish({ 'node_modules/poem/index.js': poemFiles()['index.js'].replace('rose', 'tulip') })
  const next = await loader.load()
  expect(next.dags[0]!.version_hash).not.toBe(result.dags[0]!.version_hash)
  expect(existsSync(folder.packagesDir)).toBe(false)
})

test('a package that is missing is told with what to do, whatever the repository has', async () => {
  const hintWith = async (files: Record<string, string>) => {
    await using folder = createSourceFolder()
    folder.publish({
      'dags/a.ts': dagModule('a', "import { line } from '@rose/poem/lines'", 'line(1)'),
      ...files,
    })
    const { import_errors } = await folder.loader().load()
    expect(import_errors).toMatchObject([{ file: 'dags/a.ts', line: 2, column: 22 }])
    return import_errors[0]!.hint
  }
  const manifest = (text: object) => ({ 'package.json': JSON.stringify(text) })
  const emptyLock = { 'package-lock.json': JSON.stringify({ lockfileVersion: 3, packages: { '': {} } }) }
  expect(await hintWith({})).toContain('npm install @rose/poem')
  expect(await hintWith(manifest({ dependencies: { '@rose/poem': '1' } }))).toContain('no package-lock.json')
  expect(await hintWith({ ...manifest({}), 'pnpm-lock.yaml': '' })).toContain(
    'pnpm-lock.yaml is not supported',
  )
  expect(await hintWith({ ...manifest({}), ...emptyLock })).toContain("'@rose/poem' is not in package.json")
  expect(await hintWith({ ...manifest({ devDependencies: { '@rose/poem': '1' } }), ...emptyLock })).toContain(
    'devDependencies',
  )
  expect(await hintWith({ 'node_modules/x/index.js': '' })).toContain('node_modules of its own')
})

test('what is made once is made by one at a time, also after the maker of it was killed', async () => {
  await using folder = createSourceFolder()
  const target = join(folder.directory, 'made')
  const { signal } = new AbortController()
  let made = 0
  const make = async (directory: string) => {
    made++
    await sleep(50)
    writeFileSync(join(directory, 'done'), '')
  }
  await Promise.all([1, 2, 3].map(() => installOnce(target, signal, make)))
  expect(made).toBe(1)
  expect(readdirSync(target)).toEqual(['done'])

  // What a killed process leaves: its lock, and half a directory.
  const second = join(folder.directory, 'second')
  mkdirSync(`${second}.lock`)
  mkdirSync(`${second}.tmp-1-0`)
  const longAgo = new Date(Date.now() - 3_600_000)
  utimesSync(`${second}.lock`, longAgo, longAgo)
  await installOnce(second, signal, make)
  expect(made).toBe(2)
  expect(readdirSync(folder.directory).filter((name) => name.startsWith('second'))).toEqual(['second'])
})
