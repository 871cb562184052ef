// What build.ts makes of Node's own modules: a built program loads those that take long only when it uses them. Asked
// of Node itself, which lists what it has loaded.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lazyBuiltins, lazyEsbuild, silentDebug } from '../build-plugins.ts'
import { programs } from '../runtime/programs.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'branchline-build-'))
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
})
afterAll(() => rm(folder, { recursive: true }))

/** Runs the text as a built program; gives what it printed and which of Node's modules it had loaded by its end. */
async function runBuilt(
  entry: string | { text: string },
  args: string[] = [],
): Promise<{ output: string; loaded: string[] }> {
  const outfile = join(folder, 'program.js')
  await build({
    absWorkingDir: root,
    ...(typeof entry === 'string'
      ? { entryPoints: [entry] }
      : { stdin: { contents: entry.text, resolveDir: root, loader: 'ts' } }),
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    plugins: [lazyBuiltins, lazyEsbuild, silentDebug],
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    logLevel: 'silent',
  })
  const look = join(folder, 'look.js')
  await writeFile(
    look,
    `process.on('exit', () => process._rawDebug('loaded ' + process.moduleLoadList.join(',')))`,
  )
  const { stdout, stderr } = await run(process.execPath, ['--import', look, outfile, ...args], {
    env: { ...process.env, DEBUG: '*' },
  })
  const [said, list] = stderr.split('loaded ')
  const loaded = list!
    .trim()
    .split(',')
    .map((name) => name.replace(/^\w+ (?:internal\/deps\/)?/, ''))
  return { output: stdout + said, loaded }
}

describe('a built program', () => {
  test('starts without the modules that only some of its parts use', async () => {
    const { output, loaded } = await runBuilt(programs.sync, ['--version'])
    expect(output).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(loaded).toContain('child_process')
    const heavy = ['undici/undici', 'http', 'https', 'crypto', 'inspector', 'zlib']
    expect(loaded.filter((name) => heavy.includes(name))).toEqual([])
  })

  test('has what it imports from them, by name, as a whole and by require', async () => {
    const text = `
      import { createHash, randomUUID as uuid } from 'node:crypto'
      import * as path from 'node:path'
      import os, { EOL } from 'node:os'
      import { readFile } from 'fs/promises'
      const assert = require('assert')
      const { Agent } = require('http')
      assert(true)
      assert.equal(1, 1)
      try { assert(false, 'told') } catch (error) { console.log(error.message) }
      console.log(createHash('sha256').update('a').digest('hex').length, uuid().length, path.join('a', 'b'))
      console.log(os.EOL === EOL, typeof readFile, typeof new Agent().destroy)`
    const { output, loaded } = await runBuilt({ text })
    expect(output).toBe('told\n64 36 a/b\ntrue function function\n')
    expect(loaded).toContain('crypto')
  })

  test('starts without esbuild, and asks for it when it bundles', async () => {
    const text = `
      import * as esbuild from 'esbuild'
      console.log('up', typeof esbuild.default)
      try { esbuild.stop() } catch ({ code, message }) { console.log(code, message.split('\\n')[0]) }`
    const { output } = await runBuilt({ text })
    expect(output).toBe("up object\nMODULE_NOT_FOUND Cannot find module 'esbuild'\n")
  })
})
