// Profiles of this very process: V8's own profilers, asked through node:inspector and written in the format that
// `go tool pprof` and every other viewer of git-sync's profiles read. Inspector and encoder are loaded when a
// profiler is made and not before, so that a sync without --http-pprof does not pay for them.
import { once } from 'node:events'
import type { HeapProfiler, Runtime, Profiler as V8Profiler } from 'node:inspector'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

/**
 * Between two looks at the stack. Shorter: the profiler shows up in its own profile. Longer: a sync of 50 ms
 * leaves too few samples to read.
 */
const cpuIntervalUs = 1_000
/** One allocation in so many bytes is noted. Smaller: costs more while nobody looks; larger: small heaps vanish. */
const heapIntervalBytes = 64 * 1_024

/** The V8 profile's names for time in which the process did nothing: not CPU time. */
const idleFunctions = ['(idle)', '(root)']

export interface Profiler {
  /** CPU time of the next seconds, gzipped pprof. Ends early, with what it has, when the signal aborts. */
  cpuProfile(seconds: number, signal: AbortSignal): Promise<Buffer>
  /** What was allocated since the profiler was made and is still held, gzipped pprof. */
  heapProfile(options: { collectGarbage: boolean }): Promise<Buffer>
  /** Node's and V8's trace events of the next seconds: JSON that Perfetto and chrome://tracing open. */
  trace(seconds: number, signal: AbortSignal): Promise<string>
}

/** Notes allocations from now on, until the process ends. */
export async function createProfiler(): Promise<Profiler> {
  const { Session } = await import('node:inspector/promises')
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: cpuIntervalUs })
  await session.post('HeapProfiler.enable')
  await session.post('HeapProfiler.startSampling', { samplingInterval: heapIntervalBytes })

  return {
    cpuProfile: async (seconds, signal) => {
      await session.post('Profiler.start')
      await wait(seconds, signal)
      return encodeCpuProfile((await session.post('Profiler.stop')).profile)
    },
    heapProfile: async ({ collectGarbage }) => {
      if (collectGarbage) await session.post('HeapProfiler.collectGarbage')
      return encodeHeapProfile((await session.post('HeapProfiler.getSamplingProfile')).profile)
    },
    trace: async (seconds, signal) => {
      const events: unknown[] = []
      const collect = (message: { params: { value: object[] } }) => events.push(...message.params.value)
      session.on('NodeTracing.dataCollected', collect)
      try {
        await session.post('NodeTracing.start', { traceConfig: { includedCategories: ['node', 'v8'] } })
        await wait(seconds, signal)
        const complete = once(session, 'NodeTracing.tracingComplete')
        await session.post('NodeTracing.stop')
        await complete
      } finally {
        session.off('NodeTracing.dataCollected', collect)
      }
      return JSON.stringify({ traceEvents: events })
    },
  }
}

async function wait(seconds: number, signal: AbortSignal): Promise<void> {
  await delay(seconds * 1_000, undefined, { signal }).catch(() => {})
}

/** Samples name nodes of the tree of calls; each stands for the time until the next one. */
async function encodeCpuProfile(profile: V8Profiler.Profile): Promise<Buffer> {
  const builder = await createProfileBuilder([
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ])
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  )
  const { samples = [], timeDeltas = [] } = profile
  const totals = new Map<number, { count: number; us: number }>()
  let at = profile.startTime
  samples.forEach((id, index) => {
    at += timeDeltas[index]!
    const us = index + 1 < samples.length ? timeDeltas[index + 1]! : profile.endTime - at
    const total = totals.get(id) ?? { count: 0, us: 0 }
    totals.set(id, { count: total.count + 1, us: total.us + Math.max(us, 0) })
  })
  for (const [id, { count, us }] of totals) {
    if (idleFunctions.includes(nodes.get(id)!.callFrame.functionName)) continue
    const stack: number[] = []
    for (let node = nodes.get(id); node !== undefined; node = nodes.get(parents.get(node.id) ?? -1)) {
      if (node.callFrame.functionName !== '(root)') stack.push(builder.locationOf(node.callFrame))
    }
    builder.add(stack, [count, Math.round(us * 1_000)])
  }
  return builder.encode({
    durationNanos: Math.round((profile.endTime - profile.startTime) * 1_000),
    period: cpuIntervalUs * 1_000,
  })
}

/** The tree of calls, each with what it allocated itself; V8 has scaled the samples to their real sum. */
async function encodeHeapProfile({ head }: HeapProfiler.SamplingHeapProfile): Promise<Buffer> {
  const builder = await createProfileBuilder([['inuse_space', 'bytes']])
  const visit = (node: HeapProfiler.SamplingHeapProfileNode, callers: readonly number[]): void => {
    const stack =
      node.callFrame.functionName === '(root)' ? callers : [builder.locationOf(node.callFrame), ...callers]
    if (node.selfSize > 0 && stack.length > 0) builder.add([...stack], [node.selfSize])
    for (const child of node.children) visit(child, stack)
  }
  visit(head, [])
  return builder.encode({ durationNanos: 0, period: heapIntervalBytes })
}

/** Functions and locations of a profile, each once. @param sampleTypes the last is also what the period counts */
async function createProfileBuilder(sampleTypes: readonly (readonly [type: string, unit: string])[]) {
  const pprof = await import('pprof-format')
  const strings = new pprof.StringTable()
  const types = sampleTypes.map(
    ([type, unit]) => new pprof.ValueType({ type: strings.dedup(type), unit: strings.dedup(unit) }),
  )
  const ids = new Map<string, number>()
  const functions: InstanceType<typeof pprof.Function>[] = []
  const locations: InstanceType<typeof pprof.Location>[] = []
  const samples: InstanceType<typeof pprof.Sample>[] = []

  return {
    /** The location of a function, by its first line. */
    locationOf: ({ functionName, url, lineNumber }: Runtime.CallFrame): number => {
      const key = `${functionName}\n${url}\n${lineNumber}`
      const known = ids.get(key)
      if (known !== undefined) return known
      const id = ids.size + 1
      ids.set(key, id)
      const name = strings.dedup(functionName === '' ? '(anonymous)' : functionName)
      // V8 counts lines from 0, and says -1 for what is not written in JavaScript.
      const line = lineNumber + 1
      const filename = strings.dedup(url)
      functions.push(new pprof.Function({ id, name, systemName: name, filename, startLine: line }))
      locations.push(new pprof.Location({ id, line: [new pprof.Line({ functionId: id, line })] }))
      return id
    },
    /** @param stack locations, the innermost first */
    add: (stack: number[], value: number[]): void => {
      samples.push(new pprof.Sample({ locationId: stack, value }))
    },
    encode: (more: { durationNanos: number; period: number }): Promise<Buffer> => {
      const profile = new pprof.Profile({
        sampleType: types,
        sample: samples,
        location: locations,
        function: functions,
        stringTable: strings,
        periodType: types.at(-1)!,
        timeNanos: BigInt(Date.now()) * 1_000_000n - BigInt(more.durationNanos),
        ...more,
      })
      return promisify(gzip)(profile.encode())
    },
  }
}
