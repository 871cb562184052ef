// Waiting for something that can only be looked at, and for time to pass.
import { setTimeout as delay } from 'node:timers/promises'

/** A case that hangs is ended with a message, long before a person would lose patience. */
const defaultPatienceMs = 120_000

/**
 * Looks every `everyMs` until `look` gives something other than undefined.
 * @throws Error with `what` after two minutes, or `patienceMs`; the signal's reason when it fires
 */
export async function waitUntil<Value>(
  what: string,
  options: { everyMs: number; signal: AbortSignal; patienceMs?: number },
  look: () => Promise<Value | undefined>,
): Promise<Value> {
  const { patienceMs = defaultPatienceMs } = options
  const deadline = performance.now() + patienceMs
  for (;;) {
    options.signal.throwIfAborted()
    const value = await look()
    if (value !== undefined) return value
    if (performance.now() > deadline) throw new Error(`waited ${patienceMs / 1000} s in vain: ${what}`)
    await pause(options.everyMs, options.signal)
  }
}

/** @throws the signal's reason when it fires, instead of an error that only says so */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {})
  signal.throwIfAborted()
}
