// The small words of `dev`: how it is called, what it follows, how it calls sync, what it shows of its programs' lines.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { commandPrefix } from '../../../cli/dev/command-prefix.ts'
import { openDevLog } from '../../../cli/dev/dev-log.ts'
import { readSource } from '../../../cli/dev/dev-source.ts'
import { createLineForwarder } from '../../../cli/dev/line-forwarder.ts'
import { createLineLimit } from '../../../cli/dev/line-limit.ts'
import { localUrl } from '../../../cli/dev/ports.ts'
import { syncArguments } from '../../../cli/dev/sync-arguments.ts'
import { plain } from '../../../cli/output/style.ts'
import { parseOptions } from '../../../sync/options/parse-options.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'branchline-words-'))
})

afterEach(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true, force: true })
})

test.each([
  { script: '/repo/cli/main.ts', searchPath: '/usr/bin', prefix: 'npm run -s branchline --' },
  { script: '/usr/bin/branchline', searchPath: '/bin:/usr/bin', prefix: 'branchline' },
  { script: '/usr/lib/branchline/bin/branchline.js', searchPath: '/usr/local/bin', prefix: 'branchline' },
  {
    script: '/app/node_modules/.bin/branchline',
    searchPath: '/app/node_modules/.bin',
    prefix: 'npx branchline',
  },
  {
    script: '/app/node_modules/branchline/dist/branchline.js',
    searchPath: '/usr/bin',
    prefix: 'npx branchline',
  },
])('started as $script it is called as $prefix', ({ prefix, ...started }) => {
  expect(commandPrefix(started)).toBe(prefix)
})

test.each([
  { repo: 'https://example.com/dags.git', isLocal: false },
  { repo: 'git@example.com:dags.git', isLocal: false },
  { repo: 'file:///srv/dags.git', isLocal: true },
])('the URL $repo is taken as it is', ({ repo, isLocal }) => {
  const source = readSource({ repo, ref: 'main' }, folder, folder)
  expect(source).toEqual({ type: 'repository', repo, ref: 'main', isLocal })
})

test('a path of a repository becomes absolute', () => {
  mkdirSync(join(folder, 'dags.git'))
  expect(readSource({ repo: 'dags.git' }, folder, folder)).toEqual({
    type: 'repository',
    repo: join(folder, 'dags.git'),
    ref: 'HEAD',
    isLocal: true,
  })
})

function syncOptions(env: NodeJS.ProcessEnv, isLocal = false) {
  const source = { type: 'repository', repo: 'git@example.com:a.git', ref: 'main', isLocal } as const
  const args = syncArguments({
    ...{ source, root: '/data/sync', port: 1234, period: undefined, mustSucceed: true, depth: 1 },
    env,
    home: folder,
  })
  const request = parseOptions(args, env)
  if (request.type !== 'run') throw new Error('sync is to be run')
  return request.options
}

test("sync is given the person's own keys and known hosts, which its variables replace", () => {
  mkdirSync(join(folder, '.ssh'))
  for (const name of ['id_ed25519', 'known_hosts']) writeFileSync(join(folder, '.ssh', name), '')
  expect(syncOptions({})).toMatchObject({
    ref: 'main',
    link: 'current',
    period: 5_000,
    maxFailures: 1,
    httpBind: '127.0.0.1:1234',
    sshKeyFile: [join(folder, '.ssh', 'id_ed25519')],
    sshKnownHostsFile: join(folder, '.ssh', 'known_hosts'),
  })
  const named = { GITSYNC_SSH_KEY_FILE: '/k', GITSYNC_SSH_KNOWN_HOSTS_FILE: '/h' }
  expect(syncOptions(named)).toMatchObject({ sshKeyFile: ['/k'], sshKnownHostsFile: '/h' })
})

test('a repository of this machine is looked at more often', () => {
  expect(syncOptions({}, true).period).toBe(1_000)
})

test('only what a person should know is shown, and the same only once', () => {
  const shown: string[] = []
  const forward = createLineForwarder({ verbose: false, style: plain, print: (line) => shown.push(line) })
  const say = (text: string, stream: 'stdout' | 'stderr' = 'stderr') =>
    forward({ program: 'web', stream, text })
  say('{"level":"info","msg":"listening"}')
  for (let i = 0; i < 3; i++) say('{"level":"warn","msg":"waiting for postgres","reason":"it is away"}')
  say('{"level":"error","time":"t","logger":"web","msg":"failed","err":{"message":"no disk"},"path":"/x"}')
  say('{"level":"warn","msg":"import error","file":"a.ts"}')
  say('Segmentation fault')
  say('just so', 'stdout')
  expect(shown).toEqual([
    'web: waiting for postgres: it is away',
    'web: failed: no disk (path=/x)',
    'web: Segmentation fault',
  ])
})

test('of a burst of lines the first are shown, and then how many there were', () => {
  vi.useFakeTimers()
  const shown: string[] = []
  const limit = createLineLimit((line) => shown.push(line))
  for (let i = 0; i < 25; i++) limit.print(`line ${i}`)
  expect(shown).toHaveLength(20)
  vi.runAllTimers()
  expect(shown.at(-1)).toBe('  … and 5 more changes of runs')
  limit.print('later')
  limit.flush()
  expect(shown.at(-1)).toBe('later')
})

test('dev.log has every line as JSON, and is put aside when it is large', async () => {
  const path = join(folder, 'dev.log')
  const log = openDevLog(path)
  log.write({ program: 'web', stream: 'stderr', text: 'no json' })
  log.writeJson(JSON.stringify({ msg: 'x'.repeat(11 * 1024 * 1024) }))
  log.write({ program: 'web', stream: 'stdout', text: '{"msg":"as it is"}' })
  log.close()
  expect(await readFile(path, 'utf8')).toBe('{"msg":"as it is"}\n')
  const [first] = (await readFile(`${path}.1`, 'utf8')).split('\n')
  expect(JSON.parse(first!)).toMatchObject({ logger: 'web', stream: 'stderr', msg: 'no json' })
})

test.each([
  ['127.0.0.1', 'http://127.0.0.1:80'],
  ['0.0.0.0', 'http://127.0.0.1:80'],
  ['::', 'http://[::1]:80'],
  ['localhost', 'http://localhost:80'],
])('what listens on %s is reached at %s', (host, url) => {
  expect(localUrl(host, 80)).toBe(url)
})
