// Profiles are read by the program that they are for, where it is installed, and by the decoder elsewhere.
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLogger } from '../../../runtime/log.ts'
import { createHttpEndpoint } from '../../../sync/http/http-endpoint.ts'
import type { HttpServer } from '../../../sync/http/http-server.ts'
import { createProfilingPages } from '../../../sync/http/profiling-pages.ts'

const go = 'go'
let endpoint: HttpServer
let url: string
let folder: string

beforeAll(async () => {
  const profiling = await createProfilingPages({
    argv: ['node', 'main.js', '--repo=https://me:hunter2@git.example/x.git'],
    redact: (text) => text.replaceAll('hunter2', 'REDACTED'),
  })
  const log = createLogger('sync', { level: 'silent' })
  endpoint = createHttpEndpoint({
    bind: '127.0.0.1:0',
    isReady: () => true,
    onSync: () => {},
    profiling,
    log,
  })
  url = `http://127.0.0.1:${(await endpoint.start()).port}/debug/pprof`
  folder = await mkdtemp(join(tmpdir(), 'branchline-profiling-'))
})

afterAll(async () => {
  await endpoint.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Undefined where Go is not installed. */
const goVersion = (() => {
  try {
    return execFileSync(go, ['version'], { encoding: 'utf8' })
  } catch {
    return undefined
  }
})()

/** What `go tool pprof` says of the profile at a path, fetched as its users would. */
async function top(path: string, ...options: string[]): Promise<string> {
  const file = join(folder, 'profile.pb.gz')
  await writeFile(file, await (await fetch(`${url}/${path}`)).bytes())
  // The first time, Go builds the tool, into the cache of whoever runs the tests.
  const { stdout } = await promisify(execFile)(go, ['tool', 'pprof', '-top', ...options, file])
  return stdout
}

function burnProcessor(): number {
  let sum = 0
  const end = performance.now() + 15
  while (performance.now() < end) for (let i = 0; i < 1_000; i++) sum += Math.sqrt(i)
  return sum
}

test.skipIf(goVersion === undefined)('go tool pprof reads where CPU time goes', async () => {
  const timer = setInterval(burnProcessor, 20)
  const text = await top('profile?seconds=1').finally(() => clearInterval(timer))
  expect(text).toMatch(/^Type: cpu$/m)
  expect(text).toMatch(/^Duration: 1(\.\d+)?s, Total samples = \d+/m)
  expect(text).toMatch(/burnProcessor/)
  expect(text, 'time in which nothing runs is no CPU time').not.toContain('(idle)')
})

test.skipIf(goVersion === undefined)(
  'go tool pprof reads who holds memory, garbage collected first',
  async () => {
    function holdMemory(): object[] {
      return Array.from({ length: 200_000 }, (_, index) => ({ index, text: `held ${index}` }))
    }
    const held = holdMemory()
    const text = await top('heap?gc=1', '-inuse_space', '-cum')
    expect(text).toMatch(/^Type: inuse_space$/m)
    expect(text).toMatch(/holdMemory/)
    expect(held).toHaveLength(200_000)
  },
)

test('a second CPU profile while one is taken is refused, and the first is whole', async () => {
  const first = fetch(`${url}/profile?seconds=1`)
  const second = await firstRefused(() => fetch(`${url}/profile?seconds=0.01`))
  expect(await second.text()).toContain('already running')
  expect((await first).status).toBe(200)
  expect((await (await first).bytes()).subarray(0, 2)).toEqual(new Uint8Array([0x1f, 0x8b]))
})

/** The first may not have begun yet. */
async function firstRefused(ask: () => Promise<Response>): Promise<Response> {
  for (;;) {
    const response = await ask()
    if (response.status === 500) return response
    await response.bytes()
  }
}

test('a client that goes ends its profile', async () => {
  const gone = new AbortController()
  const long = fetch(`${url}/profile?seconds=100`, { signal: gone.signal }).catch(() => 'gone')
  await firstRefused(() => fetch(`${url}/profile?seconds=0.01`))
  gone.abort()
  expect(await long).toBe('gone')
  for (;;) {
    const response = await fetch(`${url}/profile?seconds=0.01`)
    await response.bytes()
    if (response.status === 200) break
  }
})

test('trace events are JSON with what Node did', async () => {
  const response = await fetch(`${url}/trace?seconds=0.3`)
  expect(response.headers.get('content-type')).toBe('application/json')
  const { traceEvents } = (await response.json()) as { traceEvents: { cat: string; name: string }[] }
  expect(traceEvents.length).toBeGreaterThan(0)
  expect(traceEvents[0]).toHaveProperty('ph')
})

test('the command line has its parts ended by NUL and its secrets taken out', async () => {
  expect(await (await fetch(`${url}/cmdline`)).text()).toBe(
    'node\0main.js\0--repo=https://me:REDACTED@git.example/x.git\0',
  )
})

test('the index names every page, and each of them answers', async () => {
  const index = await fetch(url)
  expect(index.url).toBe(`${url}/`)
  const names = [...(await index.text()).matchAll(/href="([^"]+)"/g)].map(([, name]) => name)
  expect(names).toEqual(['cmdline', 'heap', 'profile', 'symbol', 'trace'])
  for (const name of names) expect((await fetch(`${url}/${name}?seconds=0.05`)).status, name).toBe(200)
})

test('no symbols are to be had, because profiles have theirs in them', async () => {
  expect(await (await fetch(`${url}/symbol`, { method: 'POST', body: '0x1' })).text()).toBe(
    'num_symbols: 0\n',
  )
})

test('a page that Node has nothing for, and a time that is too long, are refused with what there is', async () => {
  const unknown = await fetch(`${url}/goroutine`)
  expect([unknown.status, await unknown.text()]).toEqual([
    404,
    'Unknown profile. There are: cmdline, heap, profile, symbol, trace\n',
  ])
  const long = await fetch(`${url}/profile?seconds=301`)
  expect([long.status, await long.text()]).toEqual([400, 'seconds must be at most 300, not 301\n'])
})
