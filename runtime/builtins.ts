// Whether user code replaced what comes with the language. A process that serves several modules or tasks shares
// it among them and with our own code, so one that finds some replaced serves no other. What is added (a polyfill)
// is let be. Only what nearly all code leans on is looked at: it is done after each attempt, and takes 3 µs.

const watched: readonly object[] = [
  JSON,
  Promise,
  Promise.prototype,
  Object,
  Object.prototype,
  Array,
  Array.prototype,
  String.prototype,
  Map.prototype,
  Set.prototype,
]
const watchedGlobals = [
  'JSON',
  'Promise',
  'Object',
  'Array',
  'Map',
  'Set',
  'Error',
  'Date',
  'process',
] as const

/** Call before any user code runs. @returns whether something was replaced or removed since; does not throw */
export function watchBuiltins(): () => boolean {
  const { is, getOwnPropertyDescriptor } = Object
  const kept: { holder: Record<string, unknown>; name: string; value: unknown }[] = []
  const keep = (holder: object, name: string) => {
    const value = getOwnPropertyDescriptor(holder, name)?.value
    if (typeof value === 'function' || holder === globalThis) {
      kept.push({ holder: holder as Record<string, unknown>, name, value: Reflect.get(holder, name) })
    }
  }
  for (const holder of watched) for (const name of Object.getOwnPropertyNames(holder)) keep(holder, name)
  for (const name of watchedGlobals) keep(globalThis, name)
  return () => {
    // By index: an iterator could be what was replaced.
    for (let at = 0; at < kept.length; at += 1) {
      const { holder, name, value } = kept[at]!
      if (!is(holder[name], value)) return true
    }
    return false
  }
}
