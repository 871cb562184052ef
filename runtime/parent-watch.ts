// What a program has with the supervisor that started it: Node's IPC channel, a pipe that the kernel closes when
// the supervisor dies in whatever way. So no supervised program outlives a supervisor that was killed, and
// nothing needs to be polled. A program that somebody started by hand has no channel and is on its own.

/**
 * Calls `callback` once when the process that started this one is gone; soon, where it is gone already. Does not
 * keep the process alive. Nothing happens in a program without a supervisor.
 */
export function onParentGone(callback: () => void): void {
  // undefined: started without a channel. false: there was one.
  if (process.connected === undefined) return
  if (!process.connected) {
    queueMicrotask(callback)
    return
  }
  process.once('disconnect', callback)
  process.channel?.unref()
}

/**
 * Tells the supervisor that this program does its work from now on; nothing happens without one. For a
 * program whose supervisor waits for it before it starts the next.
 */
export function reportReady(): void {
  // A supervisor that is gone is onParentGone's matter.
  if (process.connected) process.send?.({ type: 'ready' }, () => {})
}

/** Whether a message of a child is that of `reportReady`. */
export function isReadyMessage(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'ready'
}
