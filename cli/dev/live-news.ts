// Follows the API's live events and tells what changed. An event only says that there is something to look at; what is
// told is the difference between two looks, so nothing is told twice, and what was missed while the API was away is
// told when it is back.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dag, DagCollection } from '../../web/server/schemas/dag.ts'
import type { DagRun } from '../../web/server/schemas/dag-run.ts'
import type { LiveEvent } from '../../web/server/schemas/live-event.ts'
import type { ImportErrorCollection } from '../../web/server/schemas/monitoring.ts'
import { type Api, path } from '../api/client.ts'
import { parseEvents } from '../api/events.ts'
import { linesOf } from '../api/lines.ts'
import { readAllPages } from '../api/pages.ts'
import { getRun } from '../api/runs.ts'
import type { Style } from '../output/style.ts'
import { failureLines } from '../runs/failures.ts'
import { readPublishedCommit } from './commit-subject.ts'
import { createLineLimit } from './line-limit.ts'
import { changeLines, runLine, type Snapshot } from './news-lines.ts'

export interface LiveNews {
  /** Resolves when every event from then on will be heard. Once. */
  start(): Promise<void>
  /**
   * Resolves with what is live, when what is published now has been loaded, or the time is over. From then on, changes
   * are told.
   */
  firstLoad(timeoutMs: number): Promise<Snapshot>
  stop(): Promise<void>
}

/** Shorter: an API that is being started again is asked too often. Longer: news come later when it is back. */
const reconnectMs = 250

/** An event may come twice, also of a run that has ended; runs told longer ago than so many others are forgotten. */
const maxToldRuns = 1_000

/**
 * @param deps.linkPath sync's link; undefined where a plain directory is followed
 * @param deps.print gets one line, or several that belong together
 */
export function createLiveNews(deps: {
  api: Api
  linkPath: string | undefined
  style: Style
  print: (line: string) => void
}): LiveNews {
  const { api, linkPath, style } = deps
  const stopping = new AbortController()
  const limited = createLineLimit(deps.print)
  const loaded = Promise.withResolvers<Snapshot>()
  /** run → its state when it was last told; the last told is the last of the map. */
  const toldStates = new Map<string, string>()
  /** What was told; undefined until the first load. */
  let told: Snapshot | undefined
  let last: Snapshot = { dags: [], importErrors: [], commit: undefined }
  let running: Promise<void> | undefined

  async function look(): Promise<void> {
    const [{ dags }, { import_errors: importErrors }, commit] = await Promise.all([
      readAllPages<DagCollection, Dag>('dags', (page) => api.get(path`/dags`, { ...page })),
      api.get<ImportErrorCollection>(path`/importErrors`, { limit: 1_000 }),
      linkPath === undefined ? undefined : readPublishedCommit(linkPath),
    ])
    last = { dags, importErrors, commit }
    if (!isLoaded(last, linkPath !== undefined)) return
    loaded.resolve(last)
    if (told === undefined) return
    for (const line of changeLines(told, last, style)) deps.print(line)
    told = last
  }

  async function tellRun(run: DagRun): Promise<void> {
    const key = `${run.dag_id} ${run.run_id}`
    if (told === undefined || run.state === 'queued' || toldStates.get(key) === run.state) return
    toldStates.delete(key)
    toldStates.set(key, run.state)
    if (toldStates.size > maxToldRuns) toldStates.delete(toldStates.keys().next().value!)
    const failures =
      run.state === 'failed' ? await failureLines(api, await getRun(api, run.dag_id, run.run_id), style) : []
    limited.print(
      runLine(
        run,
        style,
        failures.filter((line) => line !== ''),
      ),
    )
  }

  async function follow(events: AsyncIterable<LiveEvent>): Promise<void> {
    for await (const { event, data } of events) {
      if (event === 'dag_run') await tellRun(data)
      else if (event !== 'task_instances') await look()
    }
  }

  async function connect(): Promise<AsyncIterable<LiveEvent>> {
    return parseEvents(linesOf(await api.stream(path`/events`, {}, stopping.signal)))
  }

  async function run(first: AsyncIterable<LiveEvent>): Promise<void> {
    let events: AsyncIterable<LiveEvent> | undefined = first
    while (!stopping.signal.aborted) {
      try {
        events ??= await connect()
        await look()
        await follow(events)
      } catch {
        // The API is being started again, or Postgres is; the supervisor tells of that.
      }
      events = undefined
      await sleep(reconnectMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  return {
    async start() {
      running = run(await connect())
    },
    async firstLoad(timeoutMs) {
      const over = sleep(timeoutMs, undefined, { signal: stopping.signal, ref: false }).catch(() => {})
      told = (await Promise.race([loaded.promise, over])) ?? last
      return told
    },
    async stop() {
      stopping.abort()
      await running
      limited.flush()
    },
  }
}

/** Whether a load of what is published now has been recorded: something of it says so. */
function isLoaded({ dags, importErrors, commit }: Snapshot, isRepository: boolean): boolean {
  const loaded = [...dags, ...importErrors]
  return isRepository ? loaded.some(({ commit_sha }) => commit_sha === commit?.sha) : loaded.length > 0
}
