// The callbacks of an attempt with real processes: they hang, throw, exit and print, and the attempt goes on.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { V1Pod } from '../../../../runtime/kubernetes-types.ts'
import type { LogLine } from '../../../../runtime/log-line.ts'
import type { PodCallbackName } from '../../../../runtime/pod-callback-names.ts'
import {
  type AttemptCallbacks,
  type CallbackLimits,
  createAttemptCallbacks,
} from '../../../../scheduler/executors/kubernetes/attempt-callbacks.ts'
import {
  type CallbackRoom,
  createCallbackRoom,
} from '../../../../scheduler/executors/kubernetes/callback-room.ts'
import { eventually } from '../../../support/eventually.ts'

let directory: string
const opened: AttemptCallbacks[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'branchline-callbacks-'))
  mkdirSync(join(directory, 'source'))
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
  rmSync(directory, { recursive: true, force: true })
})

const thePod: V1Pod = { metadata: { name: 'the-pod', uid: 'u' } }

interface Opened {
  callbacks: AttemptCallbacks
  lines: LogLine[]
  /** Every message so far. */
  messages(): string[]
  call(...names: PodCallbackName[]): void
  pids: Set<number>
}

/** @param code what `pod()` is given as `callbacks`, as source text */
function open(
  code: string,
  names: PodCallbackName[],
  options: { limits?: Partial<CallbackLimits>; room?: CallbackRoom; env?: NodeJS.ProcessEnv } = {},
): Opened {
  const path = join(directory, `bundle-${opened.length}.mjs`)
  writeFileSync(
    path,
    `const { dag, pod } = globalThis[Symbol.for('branchline.authoring')]
     export default dag('d', {}, () => { pod('t', { image: 'x', callbacks: ${code} }) })`,
  )
  const lines: LogLine[] = []
  const pids = new Set<number>()
  const callbacks = createAttemptCallbacks({
    names,
    attempt: {
      attempt_id: 'a',
      dag_id: 'd',
      run_id: 'r',
      task_id: 't',
      map_index: -1,
      try_number: 2,
      max_tries: 3,
      run_type: 'manual',
      logical_date: '2026-01-31T00:00:00.000Z',
      data_interval_start: '2026-01-31T00:00:00.000Z',
      data_interval_end: '2026-02-01T00:00:00.000Z',
      params: '{"region":"north"}',
      inputs: {},
      bundle_hash: path,
      bundle_path: path,
      source_path: join(directory, 'source'),
      commit_sha: null,
      execution_timeout_ms: null,
    },
    env: { PATH: process.env.PATH, ...options.env },
    room: options.room ?? createCallbackRoom(2),
    limits: { timeoutMs: 20_000, idleMs: 20_000, ...options.limits },
    async keep(some) {
      lines.push(...some)
    },
    onProcess: (pid, isThere) => void (isThere ? pids.add(pid) : pids.delete(pid)),
  })
  opened.push(callbacks)
  return {
    callbacks,
    lines,
    messages: () => lines.map(({ msg }) => msg),
    call(...all) {
      for (const name of all) callbacks.call(name, Promise.resolve(thePod))
    },
    pids,
  }
}

const isGone = (pid: number) => {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

test('a callback has the pod, its context, the commit as working directory, and the environment it was given', async () => {
  const { callbacks, lines, call, pids } = open(
    `{ onPodCreation: async ({ pod, context, log, signal }) => {
      log.info('called', { pod: pod.metadata.name, ids: [context.dagId, context.runId, context.taskId, context.tryNumber],
        region: context.params.region, day: context.logicalDate.toISOString(), end: context.interval.end.toISOString(),
        cwd: process.cwd(), own: process.env.OWN, aborted: signal.aborted })
    } }`,
    ['onPodCreation'],
    { env: { OWN: 'yes' } },
  )
  call('onPodCreation', 'onPodStarting')
  await callbacks.ended()
  expect(lines).toEqual([
    expect.objectContaining({
      level: 'info',
      stream: 'log',
      msg: 'called',
      callback: 'onPodCreation',
      pod: 'the-pod',
      ids: ['d', 'r', 't', 2],
      region: 'north',
      day: '2026-01-31T00:00:00.000Z',
      end: '2026-02-01T00:00:00.000Z',
      cwd: join(directory, 'source'),
      own: 'yes',
      aborted: false,
    }),
  ])
  expect(pids.size).toBe(1)
  await callbacks.finish()
  expect(pids.size).toBe(0)
})

test('calls wait for one another, in one process, and all that they print is kept', async () => {
  const { callbacks, messages, call } = open(
    `[{
      onPodCreation: async () => { console.log('creation'); await new Promise((go) => setTimeout(go, 200)); console.log('created') },
      onPodStarting: async () => {
        const { execFileSync } = await import('node:child_process')
        process.stdout.write('written ')
        process.stdout.write('in parts')
        execFileSync('sh', ['-c', 'echo from a child'], { stdio: 'inherit' })
      },
    }, { onPodStarting: ({ log }) => log.warn('second') }]`,
    ['onPodCreation', 'onPodStarting', 'onPodStarting'],
  )
  call('onPodCreation', 'onPodStarting')
  await callbacks.finish()
  expect(messages().slice(0, 2)).toEqual(['creation', 'created'])
  expect(messages().slice(2).toSorted()).toEqual(['from a child', 'second', 'written in parts'])
})

test('an error is a warning in the log, and the next callback is called', async () => {
  const { callbacks, lines, messages, call } = open(
    `{
      onPodCreation: () => { throw new TypeError('no such thing') },
      onPodStarting: async () => Promise.reject('just text'),
      onPodTeardown: ({ log }) => log.info('after all'),
    }`,
    ['onPodCreation', 'onPodStarting', 'onPodTeardown'],
  )
  call('onPodCreation', 'onPodStarting', 'onPodTeardown')
  await callbacks.ended()
  expect(messages()[0]).toContain(
    'callback onPodCreation failed, which changes nothing else: TypeError: no such thing',
  )
  expect(messages()[1]).toContain(
    "callback onPodStarting failed, which changes nothing else: Error: 'just text' was thrown",
  )
  expect(messages()[2]).toBe('after all')
  expect(lines.map(({ level }) => level)).toEqual(['warn', 'warn', 'info'])
})

test('one that hangs is killed with what it started, is not called again, and the others are', async () => {
  const { callbacks, messages, call, pids } = open(
    `{
      onPodCreation: ({ signal }) => new Promise((go) => signal.addEventListener('abort', () => { console.log('told: ' + signal.reason.message) })),
      progressCallback: ({ line }) => { console.log('began ' + line); for (;;); },
      onPodTeardown: ({ log }) => log.info('after all'),
    }`,
    ['onPodCreation', 'progressCallback', 'onPodTeardown'],
    { limits: { timeoutMs: 2_000 } },
  )
  call('onPodCreation')
  callbacks.lines(thePod, 'base', [{ text: 'one' }, { text: 'two' }])
  await eventually('the second process', () => messages().includes('began one'))
  const [pid] = pids
  call('onPodTeardown')
  await callbacks.ended()
  expect(messages()).toEqual([
    'told: it took longer than 2 s',
    expect.stringContaining(
      'callback onPodCreation failed, which changes nothing else: it took longer than 2 s, and was killed',
    ),
    'began one',
    expect.stringContaining('it is not called again for this attempt'),
    'after all',
  ])
  expect(isGone(pid!)).toBe(true)
})

test('one that ends its process fails by it, and so does one whose error nothing caught', async () => {
  const { callbacks, messages, call } = open(
    `{
      onPodCreation: () => { console.log('going'); process.exit(3) },
      onPodStarting: () => new Promise(() => { setTimeout(() => { throw new Error('from nowhere') }, 10) }),
      onPodCompletion: () => { setTimeout(() => { throw new Error('left behind') }, 50) },
      onPodTeardown: ({ log }) => log.info('after all'),
    }`,
    ['onPodCreation', 'onPodStarting', 'onPodCompletion', 'onPodTeardown'],
  )
  call('onPodCreation', 'onPodStarting', 'onPodCompletion')
  await callbacks.ended()
  await eventually('what it left behind', () => messages().length === 4)
  call('onPodTeardown')
  await callbacks.ended()
  expect(messages()[0]).toBe('going')
  expect(messages()[1]).toContain('its process ended with exit code 3 before it did')
  expect(messages()[2]).toContain('from nowhere')
  expect(messages()[3]).toContain('left behind')
  expect(messages().at(-1)).toBe('after all')
})

test('a module that cannot be imported is said for each call', async () => {
  const { callbacks, messages, call } = open(`(() => { throw new Error('no module') })()`, ['onPodCreation'])
  call('onPodCreation')
  await callbacks.ended()
  expect(messages()[0]).toContain('no module')
})

test('each line is given to progressCallback, and its errors do not flood the log', async () => {
  const { callbacks, messages, lines } = open(
    `[{ progressCallback: ({ line, container, log }) => log.info(container + ' ' + line) },
      { progressCallback: () => { throw new Error('again') } }]`,
    ['progressCallback', 'progressCallback'],
  )
  callbacks.lines(
    thePod,
    'base',
    Array.from({ length: 500 }, (_, n) => ({ text: String(n) })),
  )
  callbacks.endLines()
  await callbacks.ended()
  expect(messages().filter((msg) => msg.startsWith('base '))).toEqual(
    Array.from({ length: 500 }, (_, n) => `base ${n}`),
  )
  expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(5)
})

test('lines that a slow progressCallback does not come to are counted', async () => {
  const { callbacks, messages, call } = open(
    `{ progressCallback: () => new Promise((go) => setTimeout(go, 100)), onPodCompletion: ({ log }) => log.info('completed') }`,
    ['progressCallback', 'onPodCompletion'],
    { limits: { timeoutMs: 1_000 } },
  )
  callbacks.lines(
    thePod,
    'base',
    Array.from({ length: 100 }, (_, n) => ({ text: String(n) })),
  )
  callbacks.endLines()
  call('onPodCompletion')
  await callbacks.ended()
  expect(messages()[0]).toMatch(/^progressCallback was not called for \d+ lines/)
  expect(messages()[1]).toBe('completed')
})

test('attempts share the places for processes: one with nothing to do makes room', async () => {
  const room = createCallbackRoom(1)
  const code = `{ onPodCreation: ({ log }) => log.info('process ' + process.pid), onPodStarting: ({ log }) => log.info('again') }`
  const names: PodCallbackName[] = ['onPodCreation', 'onPodStarting']
  const [first, second, third] = [
    open(code, names, { room }),
    open(code, names, { room }),
    open(code, names, { room }),
  ]
  for (const one of [first, second, third]) one.call('onPodCreation')
  await Promise.all([first, second, third].map(({ callbacks }) => callbacks.ended()))
  first.call('onPodStarting')
  await first.callbacks.finish()
  for (const one of [first, second, third]) expect(one.messages()[0]).toMatch(/^process \d+$/)
  expect(first.messages()[1]).toBe('again')
  expect(first.pids.size + second.pids.size + third.pids.size).toBeLessThanOrEqual(1)
})

test('a process that has nothing to do for a while ends', async () => {
  const { call, messages, pids } = open(
    `{ onPodCreation: ({ log }) => log.info('here') }`,
    ['onPodCreation'],
    { limits: { idleMs: 50 } },
  )
  call('onPodCreation')
  await eventually('it was called', () => messages().includes('here'))
  await eventually('its process is gone', () => pids.size === 0)
})

test('one that eats memory ends by itself', async () => {
  const { callbacks, messages, call } = open(
    `{
      onPodCreation: () => { const all = []; for (;;) all.push(new Array(100_000).fill(all.length)) },
      onPodTeardown: ({ log }) => log.info('after all'),
    }`,
    ['onPodCreation', 'onPodTeardown'],
  )
  call('onPodCreation', 'onPodTeardown')
  await callbacks.ended()
  expect(messages()).toContainEqual(expect.stringContaining('heap out of memory'))
  expect(messages()).toContainEqual(expect.stringContaining('its process ended by SIGABRT before it did'))
  expect(messages().at(-1)).toBe('after all')
})

test('closing kills what runs and what it started, and nothing more is called', async () => {
  const { callbacks, call, messages, pids } = open(
    `{
      onPodCreation: async () => {
        const { spawn } = await import('node:child_process')
        console.log(spawn('sleep', ['1000'], { stdio: 'inherit' }).pid)
        for (;;);
      },
      onPodTeardown: ({ log }) => log.info('after all'),
    }`,
    ['onPodCreation', 'onPodTeardown'],
  )
  call('onPodCreation', 'onPodTeardown')
  await eventually('it began', () => messages().length === 1)
  const ended = callbacks.ended()
  ended.catch(() => {})
  const [pid] = pids
  await callbacks.close()
  await expect(ended).rejects.toThrow('called no more')
  expect(isGone(pid!)).toBe(true)
  await eventually('what it started is gone', () => isGone(Number(messages()[0])))
  expect(messages()).toHaveLength(1)
  expect(pids.size).toBe(0)
})
