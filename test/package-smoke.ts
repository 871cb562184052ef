// The built package as a user gets it: packed, installed into an empty folder, a Dag compiled against its
// declarations and tested with testDag, and `branchline dev` run on a directory until a triggered run has succeeded.
// Prints a line for each check; the first that fails ends it with exit code 1.
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const root = resolve(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'branchline-package-'))
const versions = (
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> }
).devDependencies

const run = (command: string, args: string[], cwd = folder): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
const check = (what: string): void => console.log(`ok  ${what}`)

async function packAndInstall(): Promise<void> {
  const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], root)) as [
    { filename: string },
  ]
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'smoke', private: true, type: 'module' }),
  )
  const tools = ['node', 'typescript', '@types/node'].map((name) => `${name}@${versions[name]}`)
  run('npm', ['install', '--no-audit', '--no-fund', '--silent', `./${filename}`, ...tools])
  check(`packed as ${filename} and installed into an empty folder`)
}

function compileDag(): void {
  mkdirSync(join(folder, 'dags'))
  writeFileSync(
    join(folder, 'dags/greet.ts'),
    `import { bash, dag, task } from 'branchline'
export default dag('greet', { params: { name: 'you' } }, () => {
  const words = task('words', ({ params, log }) => {
    log.info('choosing words')
    return ['hello', String(params.name)]
  })
  const said = task('say', { words }, ({ words }) => words.map((word) => word.toUpperCase()).join(' '))
  bash('count', 'echo "$said" | wc -w', { inputs: { said } })
})
`,
  )
  writeFileSync(
    join(folder, 'test.ts'),
    `import { testDag } from 'branchline'
import greet from './dags/greet.ts'
const { state, tasks } = await testDag(greet, { params: { name: 'me' } })
if (state !== 'success' || tasks.say?.result !== 'HELLO ME') throw new Error(JSON.stringify(tasks))
`,
  )
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
  run('npx', ['tsc', ...options, '--allowImportingTsExtensions', 'dags/greet.ts', 'test.ts'])
  check('a Dag compiles against the declarations of the package')
  run('npx', ['node', 'test.ts'])
  check('testDag runs it without server or database')
}

/** Lines of standard output and error so far. */
function startDev(): { child: ChildProcess; text: () => string } {
  const child = spawn('npx', ['branchline', 'dev', '.', '--web-port', '0'], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  }
  return { child, text: () => text }
}

async function runDev(): Promise<void> {
  const { child, text } = startDev()
  try {
    const deadline = Date.now() + 60_000
    while (!/greet/.test(text()) && Date.now() < deadline) await delay(50)
    const apiUrl = /http:\/\/127\.0\.0\.1:\d+/.exec(text())?.[0]
    assert.ok(apiUrl, `branchline dev did not name its address:\n${text()}`)
    check('branchline dev runs from the package')
    const params = ['--params', '{"name":"package"}']
    run('npx', ['branchline', 'dags', 'trigger', 'greet', '--wait', ...params, '--api-url', apiUrl])
    const log = run('npx', ['branchline', 'tasks', 'logs', 'greet', 'latest', 'count', '--api-url', apiUrl])
    assert.match(log, /\b2\b/)
    check('a triggered run succeeds, and its log can be read')
  } finally {
    assert.equal(child.exitCode, null, `branchline dev ended:\n${text()}`)
    process.kill(-child.pid!, 'SIGINT')
    await new Promise((done) => child.once('close', done))
  }
  check('and it ends on ctrl-C')
}

try {
  await packAndInstall()
  compileDag()
  await runDev()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
