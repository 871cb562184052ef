// Each of the inits that may take over as pid 1, with a program that tells what reaches it.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import type { constants } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { initCommand } from '../../../sync/process/init.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryFolder } from '../sync-process.ts'
import { childrenOf, type FirstProcess, namespacesMissing, startAsFirst } from './pid-namespace.ts'

/** The time that an orchestrator's users notice; a stop is to take less. */
const stopMs = 1000

const told = [
  ...['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGWINCH', 'SIGCONT', 'SIGTERM'],
] as (keyof typeof constants.signals)[]

/** Says each signal that it gets, and does what each line of its input says. */
const program = `
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { becomeInit } from ${JSON.stringify(join(import.meta.dirname, '../../../sync/process/init.ts'))}
if (process.pid === 1) becomeInit({ command: [process.execPath, ...process.argv.slice(1)], env: process.env })
for (const signal of ${JSON.stringify(told)}) process.on(signal, () => console.log(signal))
const orders = {
  exit: (code) => process.exit(Number(code)),
  die: (signal) => { process.removeAllListeners(signal); process.kill(process.pid, signal) },
  orphan: () => spawn('/bin/sh', ['-c', '/bin/sleep 1000 & /bin/sleep 1000 &'], { stdio: 'ignore' }),
}
createInterface(process.stdin).on('line', (line) => {
  const [order, word] = line.split(' ')
  orders[order](word)
})
console.log('ready', process.argv.slice(2).join('|'), process.env.WORD, process.ppid)
`

/** A folder for PATH that holds one init. */
async function start(init: Init): Promise<FirstProcess> {
  const folder = await temporaryFolder()
  const bin = join(folder.path, 'bin')
  mkdirSync(bin)
  symlinkSync(init.path, join(bin, init.name))
  const file = join(folder.path, 'program.mjs')
  writeFileSync(file, program)
  const first = await startAsFirst([process.execPath, file, 'a b', "c'd"], { PATH: bin, WORD: 'word' })
  return {
    ...first,
    [Symbol.asyncDispose]: async () => {
      await first[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

const isReady = (first: FirstProcess) =>
  eventually('the program runs', () => first.stdout().includes('ready'))

interface Init {
  name: 'sh' | 'tini'
  path: string
}
const inits: Init[] = [
  { name: 'sh', path: '/bin/dash' },
  { name: 'sh', path: '/bin/bash' },
  { name: 'tini', path: '/usr/bin/tini' },
]

const missing = namespacesMissing()
describe.skipIf(missing !== undefined)(
  `pid 1${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    describe.each(inits.filter(({ path }) => existsSync(path)))('by $path', (init) => {
      test('the program runs as its child, with arguments, environment and standard input', async () => {
        await using first = await start(init)
        await isReady(first)
        expect(first.stdout()).toBe("ready a b|c'd word 1\n")
        expect(first.stderr()).toBe('INFO: detected pid 1, running init handler\n')
        first.input.write('exit 0\n')
        expect(await first.exit).toBe(0)
      })

      test.each([
        ['exit 3', 3],
        ['exit 127', 127],
        ['die SIGTERM', 143],
        ['die SIGINT', 130],
        ['die SIGHUP', 129],
        ['die SIGKILL', 137],
      ])('%s of the program is exit code %i', async (order, code) => {
        await using first = await start(init)
        await isReady(first)
        first.input.write(`${order}\n`)
        expect(await first.exit).toBe(code)
      })

      test('every signal goes on to the program, and none ends it', async () => {
        await using first = await start(init)
        await isReady(first)
        for (const signal of told) {
          process.kill(first.pid, signal)
          await eventually(`${signal} in ${first.stdout()}`, () => first.stdout().includes(`${signal}\n`))
        }
        first.input.write('exit 7\n')
        expect(await first.exit).toBe(7)
      })

      test('of signals in quick succession none is lost', async () => {
        await using first = await start(init)
        await isReady(first)
        const signals = ['SIGHUP', 'SIGINT', 'SIGUSR1', 'SIGUSR2'] as const
        for (let count = 0; count < 200; count += 1) {
          const signal = signals[count % signals.length]!
          const before = first.stdout().length
          process.kill(first.pid, signal)
          await eventually(`${signal}, number ${count}`, () => first.stdout().length > before)
          expect(first.stdout().slice(before)).toBe(`${signal}\n`)
        }
      })

      // bash forgets the code where a signal arrives in the very moment of the end, which dash and tini do not.
      test.skipIf(init.path === '/bin/bash')('an exit code is not lost among signals', async () => {
        await using first = await start(init)
        await isReady(first)
        let isOver = false
        const code = first.exit.finally(() => {
          isOver = true
        })
        first.input.write('exit 9\n')
        while (!isOver) {
          try {
            process.kill(first.pid, 'SIGUSR1')
          } catch {
            break
          }
          await new Promise((resolve) => setImmediate(resolve))
        }
        expect(await code).toBe(9)
      })

      test('what dead processes leave behind is reaped', async () => {
        await using first = await start(init)
        await isReady(first)
        const [own] = childrenOf(first.pid)
        first.input.write('orphan\n')
        const orphans = await eventually('orphans are children of pid 1', () => {
          const others = childrenOf(first.pid).filter(({ pid }) => pid !== own!.pid)
          return others.length === 2 ? others : undefined
        })
        for (const { pid } of orphans) process.kill(pid, 'SIGKILL')
        await eventually('no zombies', () => childrenOf(first.pid).length === 1)
        expect(childrenOf(first.pid)[0]!.pid).toBe(own!.pid)
      })

      test('the end of the program ends everything, within a second', async () => {
        await using first = await start(init)
        await isReady(first)
        first.input.write('orphan\n')
        const all = await eventually('orphans', () => {
          const children = childrenOf(first.pid)
          return children.length === 3 ? children : undefined
        })
        const begin = performance.now()
        first.input.write('die SIGTERM\n')
        expect(await first.exit).toBe(143)
        expect(performance.now() - begin).toBeLessThan(stopMs)
        expect(all.filter(({ pid }) => existsSync(`/proc/${pid}`))).toEqual([])
      })
    })
  },
)

test('tini is preferred to the shell, and one of them must be there', async () => {
  await using folder = await temporaryFolder()
  const command = ['/program', '--flag']
  const env = { PATH: `/nowhere::${folder.path}` }
  expect(() => initCommand({ command, env })).toThrow(ConfigError)
  expect(() => initCommand({ command, env })).toThrow(/neither tini nor sh in PATH \(\/nowhere/)
  symlinkSync('/bin/sh', join(folder.path, 'sh'))
  expect(initCommand({ command, env }).slice(3)).toEqual(['init', ...command])
  mkdirSync(join(folder.path, 'tini'))
  expect(initCommand({ command, env })[0]).toBe(join(folder.path, 'sh'))
})
