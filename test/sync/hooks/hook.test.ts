import { describe, expect, test } from 'vitest'
import type { CommitSha } from '../../../runtime/ids.ts'
import { createHook, type Hook } from '../../../sync/hooks/hook.ts'
import type { CallStatus } from '../../../sync/http/sync-metrics.ts'
import { eventually } from '../../support/eventually.ts'
import { captureLog, commitA, commitB, commitC } from './hook-fixtures.ts'

interface Trial extends AsyncDisposable {
  hook: Hook
  /** Commits that it was run for, in order. */
  runs: CommitSha[]
  statuses: CallStatus[]
  errors: [error: unknown, message: string][]
  lines: Record<string, unknown>[]
  /** Ends the run that is under way. */
  finish(error?: Error): Promise<void>
  /** Resolves when it has been run that often. */
  ran(times: number): Promise<unknown>
}

/** A hook whose runs end when the test says so. */
function trial(options: { isOneTime?: boolean; backoffMs?: number } = {}): Trial {
  const { log, lines } = captureLog()
  const runs: CommitSha[] = []
  const statuses: CallStatus[] = []
  const errors: [unknown, string][] = []
  let current: PromiseWithResolvers<void> | undefined
  const hook = createHook({
    name: 'exechook',
    run: async (commit, signal) => {
      runs.push(commit)
      current = Promise.withResolvers()
      signal.addEventListener('abort', () => current!.reject(signal.reason))
      await current.promise
    },
    backoffMs: options.backoffMs ?? 1,
    isOneTime: options.isOneTime ?? false,
    log,
    onRun: (status) => statuses.push(status),
    onError: async (error, message) => {
      errors.push([error, message])
    },
  })
  const ran = (times: number) => eventually(`run ${times} of ${runs}`, () => runs.length >= times)
  return {
    hook,
    runs,
    statuses,
    errors,
    lines,
    ran,
    finish: async (error) => {
      const before = statuses.length
      if (error === undefined) current!.resolve()
      else current!.reject(error)
      await eventually('the end of the run', () => statuses.length > before)
    },
    [Symbol.asyncDispose]: hook.stop,
  }
}

describe('for which commits a hook is run', () => {
  test('once for each commit that it succeeds for', async () => {
    await using it = trial()
    for (const [index, commit] of [commitA, commitB, commitA].entries()) {
      it.hook.send(commit)
      await it.ran(index + 1)
      await it.finish()
      it.hook.send(commit)
    }
    expect(it.runs).toEqual([commitA, commitB, commitA])
    expect(it.statuses).toEqual(['success', 'success', 'success'])
  })

  test('one that is behind skips the commits in between', async () => {
    await using it = trial()
    it.hook.send(commitA)
    it.hook.send(commitB)
    it.hook.send(commitC)
    await it.finish()
    await it.ran(2)
    await it.finish()
    expect(it.runs).toEqual([commitA, commitC])
  })

  test('again for the same commit after a reset, also where the reset came during the run', async () => {
    await using it = trial()
    it.hook.send(commitA)
    await it.finish()
    it.hook.reset()
    it.hook.send(commitA)
    await it.ran(2)
    it.hook.reset()
    await it.finish()
    it.hook.send(commitA)
    await it.ran(3)
    await it.finish()
    it.hook.send(commitA)
    expect(it.runs).toEqual([commitA, commitA, commitA])
  })

  test('a reset alone runs nothing', async () => {
    await using it = trial()
    it.hook.send(commitA)
    it.hook.reset()
    await it.finish()
    it.hook.reset()
    it.hook.send(commitB)
    await it.ran(2)
    expect(it.runs).toEqual([commitA, commitB])
  })
})

describe('a hook that fails', () => {
  test('is run again until it succeeds, each failure being logged, counted and told', async () => {
    await using it = trial({ backoffMs: 3 })
    it.hook.send(commitA)
    for (const attempt of [1, 2]) {
      await it.ran(attempt)
      await it.finish(new Error(`failure ${attempt}`))
    }
    await it.ran(3)
    await it.finish()
    expect(it.statuses).toEqual(['error', 'error', 'success'])
    expect(it.errors).toEqual([
      [new Error('failure 1'), 'hook failed'],
      [new Error('failure 2'), 'hook failed'],
    ])
    const logged = { level: 'error', msg: 'hook failed', hash: commitA, retry_ms: 3 }
    expect(it.lines).toMatchObject([
      { ...logged, error: 'failure 1' },
      { ...logged, error: 'failure 2' },
    ])
  })

  test('is run again for the newest commit', async () => {
    await using it = trial()
    it.hook.send(commitA)
    it.hook.send(commitB)
    it.hook.send(commitC)
    await it.finish(new Error('no'))
    await it.ran(2)
    await it.finish()
    expect(it.runs).toEqual([commitA, commitC])
  })

  test('waits for its backoff, though a new commit comes meanwhile', async () => {
    await using it = trial({ backoffMs: 300 })
    it.hook.send(commitA)
    const failed = performance.now()
    await it.finish(new Error('no'))
    it.hook.send(commitB)
    await it.ran(2)
    expect(performance.now() - failed).toBeGreaterThan(290)
    expect(it.runs).toEqual([commitA, commitB])
  })
})

describe('a one-time hook', () => {
  test('is settled at once where nothing was sent', async () => {
    await using it = trial({ isOneTime: true })
    expect(await it.hook.settled()).toBe('success')
  })

  test('is settled by its only attempt, whichever way that goes', async () => {
    for (const [error, outcome] of [
      [undefined, 'success'],
      [new Error('no'), 'failed'],
    ] as const) {
      await using it = trial({ isOneTime: true })
      it.hook.send(commitA)
      await it.finish(error)
      expect(await it.hook.settled()).toBe(outcome)
      it.hook.send(commitB)
      await it.hook.stop()
      expect(it.runs).toEqual([commitA])
    }
  })
})

describe('a hook that is stopped', () => {
  test('ends its run, which is neither a failure nor tried again', async () => {
    const it = trial({ isOneTime: true })
    it.hook.send(commitA)
    await Promise.all([it.hook.stop(), it.hook.stop()])
    it.hook.send(commitB)
    expect(it.runs).toEqual([commitA])
    expect(it.statuses).toEqual([])
    expect(it.lines).toEqual([])
    expect(await it.hook.settled()).toBe('failed')
  })

  test('waits for no backoff', async () => {
    const it = trial({ backoffMs: 3_600_000_000 })
    it.hook.send(commitA)
    await it.finish(new Error('no'))
    await it.hook.stop()
    expect(it.runs).toEqual([commitA])
  })
})
