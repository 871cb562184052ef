// Runs that each answer for the moment at which they were asked for. A call during a run makes that run's answer
// old before it is there, so the run is given up and a new one begins, for both callers. Runs keep what they have
// done, so this comes to an end even if calls come faster than runs can finish.

export interface NewestWins<Result> {
  /** @throws what the run throws; the signal's reason when it fires; an AbortError once stopped */
  run(signal?: AbortSignal): Promise<Result>
  /** Gives up the run that is under way, refuses new ones, and waits until nothing runs. */
  stop(): Promise<void>
}

/** @param work is to end soon after its signal fires */
export function createNewestWins<Result>(work: (signal: AbortSignal) => Promise<Result>): NewestWins<Result> {
  const stopped = new AbortController()
  let asked = 0
  let callers = 0
  let current: { answer: Promise<Result>; controller: AbortController } | null = null

  async function runUntilNewest(): Promise<Result> {
    try {
      for (;;) {
        stopped.signal.throwIfAborted()
        if (callers === 0) current!.controller.signal.throwIfAborted()
        const began = asked
        current!.controller = new AbortController()
        try {
          const result = await work(AbortSignal.any([current!.controller.signal, stopped.signal]))
          if (began === asked) return result
        } catch (error) {
          if (began === asked) throw error
        }
      }
    } finally {
      // In the same turn as the decision to end, so that no later call joins a run that is over.
      current = null
    }
  }

  async function start(): Promise<Result> {
    // `current` is there before the run looks at it.
    await null
    return await runUntilNewest()
  }

  return {
    async run(signal) {
      signal?.throwIfAborted()
      stopped.signal.throwIfAborted()
      asked++
      callers++
      current?.controller.abort()
      current ??= { answer: start(), controller: new AbortController() }
      const { answer } = current
      const { promise: aborted, reject } = Promise.withResolvers<never>()
      const onAbort = () => reject(signal!.reason)
      signal?.addEventListener('abort', onAbort)
      try {
        return await Promise.race([answer, aborted])
      } finally {
        signal?.removeEventListener('abort', onAbort)
        callers--
        if (callers === 0) current?.controller.abort()
      }
    },
    async stop() {
      stopped.abort()
      await current?.answer.catch(() => {})
    },
  }
}
