// The pages of --http-pprof below /debug/pprof/, by the names that Go's programs have there, so that
// `go tool pprof http://…/debug/pprof/profile` works as it did. A page of Go's for which Node has nothing (goroutine,
// block, mutex, threadcreate, allocs) is a 404 that says what there is.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpPages } from './http-endpoint.ts'
import { answer, pathOf, queryOf } from './http-server.ts'
import { createProfiler, type Profiler } from './profiling.ts'

/** As in Go. */
const defaultProfileSeconds = 30
const defaultTraceSeconds = 1
/** Longer: whoever asked has gone, and the samples fill the memory of a small container. */
const maximumSeconds = 300

const pages = {
  cmdline: 'the command line of this process, its parts ended by NUL',
  heap: 'memory allocated since the start and still held, by function; ?gc=1 collects garbage first',
  profile: `CPU time by function over ?seconds=${defaultProfileSeconds}`,
  symbol: 'looks up program counters; profiles have their symbols in them, so there are none',
  trace: `trace events of Node and V8 over ?seconds=${defaultTraceSeconds}, as JSON for Perfetto or chrome://tracing`,
} as const
type PageName = keyof typeof pages

/**
 * Begins to note allocations, for the page `heap`.
 * @param deps.argv the command line of this process
 * @param deps.redact takes the secrets out of one argument
 */
export async function createProfilingPages(deps: {
  argv: readonly string[]
  redact: (text: string) => string
}): Promise<HttpPages> {
  const profiler = await createProfiler()
  /** V8 has one of each profiler: a second request at once would end the first one's. */
  const busy = new Set<PageName>()

  async function alone(name: PageName, response: ServerResponse, work: () => Promise<void>): Promise<void> {
    if (busy.has(name)) {
      return answer(
        response,
        500,
        `Could not start ${name}: one is already running. Ask again when it has ended\n`,
      )
    }
    busy.add(name)
    try {
      await work()
    } finally {
      busy.delete(name)
    }
  }

  const handlers: Record<PageName, (request: IncomingMessage, response: ServerResponse) => unknown> = {
    cmdline: (_request, response) =>
      answer(response, 200, deps.argv.map((argument) => `${deps.redact(argument)}\0`).join('')),
    heap: async (request, response) => {
      const collectGarbage = Number(queryOf(request).get('gc')) > 0
      sendFile(response, 'heap', await profiler.heapProfile({ collectGarbage }))
    },
    profile: (request, response) =>
      timed(request, response, defaultProfileSeconds, (seconds, signal) =>
        alone('profile', response, async () =>
          sendFile(response, 'profile', await profiler.cpuProfile(seconds, signal)),
        ),
      ),
    symbol: (_request, response) => answer(response, 200, 'num_symbols: 0\n'),
    trace: (request, response) =>
      timed(request, response, defaultTraceSeconds, (seconds, signal) =>
        alone('trace', response, async () => sendTrace(response, profiler, seconds, signal)),
      ),
  }

  return {
    handle: async (request, response) => {
      const name = pathOf(request).replace(/^\/debug\/pprof\//, '')
      if (name === '') return sendIndex(response)
      if (!Object.hasOwn(handlers, name)) {
        return answer(response, 404, `Unknown profile. There are: ${Object.keys(pages).join(', ')}\n`)
      }
      await handlers[name as PageName](request, response)
    },
  }
}

/** Reads ?seconds=, and ends the work early when the client or the server goes. */
async function timed(
  request: IncomingMessage,
  response: ServerResponse,
  defaultSeconds: number,
  work: (seconds: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const text = queryOf(request).get('seconds')
  const asked = text === null ? defaultSeconds : Number(text)
  const seconds = asked > 0 ? asked : defaultSeconds
  if (seconds > maximumSeconds) {
    return answer(response, 400, `seconds must be at most ${maximumSeconds}, not ${seconds}\n`)
  }
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  await work(seconds, gone.signal)
}

async function sendTrace(
  response: ServerResponse,
  profiler: Profiler,
  seconds: number,
  signal: AbortSignal,
): Promise<void> {
  const events = await profiler.trace(seconds, signal)
  answer(response, 200, events, {
    'content-type': 'application/json',
    'content-disposition': 'attachment; filename="trace.json"',
  })
}

function sendFile(response: ServerResponse, name: string, content: Buffer): void {
  response
    .writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="${name}"`,
    })
    .end(content)
}

function sendIndex(response: ServerResponse): void {
  const rows = Object.entries(pages).map(([name, help]) => `<li><a href="${name}">${name}</a>: ${help}</li>`)
  answer(
    response,
    200,
    `<!doctype html><title>/debug/pprof/</title><h1>/debug/pprof/</h1><ul>${rows.join('')}</ul>\n`,
    { 'content-type': 'text/html; charset=utf-8' },
  )
}
