// The documents against the tree: links lead somewhere, files that are named exist, examples compile.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { welcomeLines } from '../cli/dev/welcome.ts'
import { plain } from '../cli/output/style.ts'
import { authoringNames } from '../runtime/authoring/authoring-global.ts'
import { taskVariables } from '../runtime/task-variables.ts'
import { readMigrations } from '../scheduler/database/migrations.ts'

const root = resolve(import.meta.dirname, '..')
const inFolder = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name))
const documents = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'examples/dags/README.md'],
  ...inFolder('docs').filter((path) => path.endsWith('.md')),
].map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))

/** Without blocks of code, in which nothing is a link. */
const prose = (text: string) => text.replace(/^```[\s\S]*?^```/gm, '')

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  return [...prose(text).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test.each(documents)(
  'each link of $path leads to a file, and to a heading that is there',
  ({ path, text }) => {
    const links = [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)
    const broken = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false
      const [file, anchor] = link.split('#') as [string, string | undefined]
      const target = file === '' ? join(root, path) : resolve(root, dirname(path), file)
      if (!existsSync(target)) return true
      return anchor !== undefined && !anchorsOf(readFileSync(target, 'utf8')).includes(anchor)
    })
    expect(broken).toEqual([])
  },
)

/** Folders whose name at the front of a word makes it a path of the tree. */
const sourceFolders = [
  'runtime',
  'sync',
  'scheduler',
  'web',
  'cli',
  'test',
  'bench',
  'docs',
  'examples',
  'images',
]
const pathPattern = new RegExp(`^(?:${sourceFolders.join('|')})/[\\w./-]*$`)

test.each(documents)('each path of the tree that $path names is there', ({ text }) => {
  const named = [...prose(text).matchAll(/`([^`\n]+)`/g)].map(([, words]) => words!)
  const paths = named.filter((words) => pathPattern.test(words) && !words.includes('NNNN'))
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

test('every page is reached from the README', () => {
  const reached = new Set(['README.md'])
  for (const path of reached) {
    const { text } = documents.find((document) => document.path === path)!
    for (const [, link] of prose(text).matchAll(/\]\(([^)\s#]+\.md)(?:#[^)]*)?\)/g)) {
      if (!/^[a-z]+:/.test(link!)) reached.add(relative(root, resolve(root, dirname(path), link!)))
    }
  }
  expect(documents.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
})

test('the table of folders in docs/architecture.md has a row for each folder that has a job', () => {
  const { text } = documents.find(({ path }) => path === 'docs/architecture.md')!
  const rows = [...text.matchAll(/^\| `([\w/-]+)\/` \|/gm)].map(([, folder]) => folder!)
  const hasFiles = (folder: string) =>
    readdirSync(join(root, folder), { withFileTypes: true }).some((entry) => entry.isFile())
  const below = ['runtime', 'sync', 'scheduler', 'web'].flatMap((folder) => [folder, ...inFolder(folder)])
  const folders = [...below, ...sourceFolders].filter((path) => statSync(join(root, path)).isDirectory())
  expect(folders.filter((folder) => hasFiles(folder) && !rows.includes(folder))).toEqual([])
})

test('the README has the commands that the demonstration prints, word for word', () => {
  const dataDir = join(root, '.branchline')
  const repo = join(dataDir, 'demo.git')
  const printed = welcomeLines(
    {
      source: { type: 'repository', repo, ref: 'main', isLocal: true },
      demo: { path: repo, clone: join(dataDir, 'demo') },
      snapshot: { dags: [], importErrors: [], commit: undefined },
      webUrl: 'http://127.0.0.1:8080',
      syncUrl: undefined,
      dataDir,
      cwd: root,
      prefix: 'npm run -s branchline --',
      apiArguments: '',
    },
    plain,
  )
  const commands = printed.filter((line) => /^ {2}(npm|sed) /.test(line)).map((line) => line.trim())
  expect(commands).toHaveLength(3)
  const { text } = documents.find(({ path }) => path === 'README.md')!
  expect(text).toContain(`\n\`\`\`sh\n${commands.join('\n')}\n\`\`\`\n`)
  for (const line of printed.filter((line) => /^ {2}(edit in|API|data) /.test(line)))
    expect(text).toContain(line)
})

test('the contract names what authors import, the variables of commands, and tables that are there', () => {
  const contract = documents.find(({ path }) => path === 'docs/contract.md')!.text
  const section = (heading: string) => contract.split(/^## /m).find((part) => part.startsWith(heading))!
  const wordsIn = (text: string) => [...text.matchAll(/`(\w+)`/g)].map(([, word]) => word!)
  expect(wordsIn(section('The authoring module'))).toEqual(expect.arrayContaining([...authoringNames]))
  const variables = wordsIn(section('Environment of tasks').split('| --- |')[1]!)
  expect(variables.filter((word) => word.startsWith('BRANCHLINE_'))).toEqual([...taskVariables])
  const schema = readMigrations()
    .map(({ sql }) => sql)
    .join('\n')
  const tables = wordsIn(/These may be read[\s\S]*?:([\s\S]*?)\./.exec(section('Database'))![1]!)
  expect(tables.length).toBeGreaterThan(5)
  for (const table of tables) expect(schema).toMatch(new RegExp(`^create (table|view) ${table} `, 'm'))
})

test('the examples in README and guides compile', () => {
  const pages = documents.filter(({ path }) => path === 'README.md' || path.startsWith('docs/guides/'))
  const examples = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code], index) => ({
      name: `${path.replaceAll('/', '-').replace('.md', '')}-${index + 1}.ts`,
      code: code!,
    })),
  )
  expect(examples.length).toBeGreaterThan(5)
  const folder = mkdtempSync(join(tmpdir(), 'branchline-docs-'))
  try {
    for (const { name, code } of examples) writeFileSync(join(folder, name), code)
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    const compilerOptions = {
      types: ['node'],
      // Where the authors of Dags find it as a package.
      paths: { branchline: [join(root, 'runtime/index.ts')] },
    }
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: join(root, 'tsconfig.json'),
        compilerOptions,
        include: ['*.ts'],
        exclude: [],
      }),
    )
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const { stdout, status } = spawnSync(process.execPath, [tsc, '--project', folder], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
