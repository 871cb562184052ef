import { dag, job, type PodCallbackCall, pod, resource } from 'branchline'
import { expect, test } from 'vitest'
import type { PodCallback } from '../../../runtime/authoring/pod-callbacks.ts'
import { operatorFault } from '../../../runtime/loader/operator-check.ts'
import type { PodOperatorManifest } from '../../../runtime/operator-manifest.ts'

function made(options: object): { names: string[]; callbacks: readonly PodCallback[] } {
  const { manifest, tasks } = dag('sales', {}, () => {
    pod('train', { image: 'trainer:4', ...options } as Parameters<typeof pod>[1])
  })
  const operator = manifest.tasks[0]!.operator as PodOperatorManifest
  expect(operatorFault(JSON.parse(JSON.stringify(operator)))).toBeNull()
  const definition = tasks.get('train')!
  const callbacks = 'callbacks' in definition ? definition.callbacks : []
  expect(callbacks.map(({ name }) => name)).toEqual(operator.callbacks)
  return { names: operator.callbacks, callbacks }
}

test('a pod has no callbacks unless some are given', () => {
  expect(made({}).names).toEqual([])
  expect(made({ callbacks: null, progressCallback: undefined }).names).toEqual([])
  expect(made({ callbacks: [] }).names).toEqual([])
})

test('the manifest names the functions, and the definition has them in that order', () => {
  const { names, callbacks } = made({
    callbacks: [
      { onPodCleanup: () => 'a', onPodCreation: () => 'b' },
      { on_pod_creation: () => 'c', progress_callback: () => 'd' },
    ],
    progressCallback: () => 'e',
  })
  expect(names).toEqual([
    'onPodCreation',
    'onPodCleanup',
    'onPodCreation',
    'progressCallback',
    'progressCallback',
  ])
  expect(callbacks.map(({ run }) => run({} as never))).toEqual(['b', 'a', 'c', 'd', 'e'])
})

test('callbacks may be the methods of an object, which is their this', () => {
  class Notes {
    readonly prefix = () => 'pod '
    onPodStarting({ pod }: PodCallbackCall): string {
      return this.prefix() + pod!.metadata!.name
    }
    helper(): void {}
  }
  const notes = new Notes() as unknown as Record<string, unknown>
  Object.defineProperty(notes, 'prefix', { enumerable: false, value: () => 'pod ' })
  const { names, callbacks } = made({ callbacks: notes })
  expect(names).toEqual(['onPodStarting'])
  expect(callbacks[0]!.run({ pod: { metadata: { name: 'x' } } } as never)).toBe('pod x')
})

test.each<[object, string]>([
  [
    { callbacks: () => {} },
    "option 'callbacks' is [Function: callbacks], but must be an object of functions",
  ],
  [{ callbacks: [null] }, "option 'callbacks[0]' is null"],
  [{ callbacks: { onPodStart: () => {} } }, "no option 'onPodStart'. Did you mean 'onPodStarting'?"],
  [{ callbacks: { on_pod_creatoin: () => {} } }, "Did you mean 'on_pod_creation'?"],
  [
    { callbacks: [{ onPodStarting: 'say' }] },
    "option 'callbacks[0].onPodStarting' is 'say', but must be a function",
  ],
  [{ callbacks: { on_sync_client_creation: () => {} } }, 'callbacks run without a client of the cluster'],
  [
    { callbacks: { onPodCreation: () => {}, on_pod_creation: () => {} } },
    "is given twice, as 'onPodCreation' and as 'on_pod_creation'",
  ],
  [{ progressCallback: 'line' }, "option 'progressCallback' is 'line', but must be a function"],
  [
    { progressCallback: () => {}, getLogs: false },
    "option 'getLogs' is false, but must be true for progressCallback",
  ],
])('%o is refused, with words', (options, words) => {
  expect(() => made(options)).toThrow(words)
  expect(() => made(options)).toThrow("task 'train' of Dag 'sales'")
})

test('only pods have callbacks', () => {
  const callbacks = { onPodCreation: () => {} }
  const define = (call: () => unknown) => () => dag('sales', {}, () => void call())
  expect(define(() => job('j', { image: 'x', callbacks } as never))).toThrow('only pod() has callbacks')
  expect(define(() => resource('r', { yaml: 'a: 1', callbacks } as never))).toThrow(
    'only pod() has callbacks',
  )
})

test('the compiler knows what each function is given, in both spellings', () => {
  const { tasks } = dag('typed', {}, () => {
    pod('train', {
      image: 'trainer:4',
      callbacks: [
        { onPodStarting: ({ pod, context }) => `${pod?.spec?.nodeName} ${context.tryNumber.toFixed()}` },
        { progress_callback: ({ line, container }) => line.trim() + container.trim() },
      ],
      progressCallback: async ({ line, log, signal }) => log.info(line, { aborted: signal.aborted }),
    })
    // @ts-expect-error: only progressCallback has lines
    pod('wrong', { image: 'trainer:4', callbacks: { onPodStarting: ({ line }) => line } })
  })
  expect(tasks.size).toBe(2)
})
