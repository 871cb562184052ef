// (a) How long a person waits between 'run it' and the first line of the first task. The clock stops when the line
// is in the file: the task itself says when that was, by the monotonic clock that all processes of a machine share
// (a log line's own `ts` has milliseconds, too few). It starts, in one variant, when the trigger's commit has been
// answered, and in the other before a POST to the API is sent.
//
// Floor: the commit of a row with NOTIFY; the listener's one update; a message to a warm process; its appended line.
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from '../../cli/dev/ports.ts'
import { attemptLogPath } from '../../runtime/log-line.ts'
import { triggerRun } from '../../scheduler/database/trigger-run.ts'
import { startBareLoop } from '../floor/bare-loop.ts'
import { bareChannel } from '../floor/protocol.ts'
import type { BenchCase, BenchContext } from '../support/bench-case.ts'
import { firstLineModule } from '../support/dag-modules.ts'
import { nextRunId, succeeded } from '../support/dag-runs.ts'
import { post } from '../support/post.ts'
import { inTurn } from '../support/rounds.ts'
import { type System, startProgram, startSystem } from '../support/system.ts'

const dagId = 'first-line'

export const trigger: BenchCase = {
  letter: 'a',
  name: 'trigger-to-first-line',
  async measure(context) {
    const { signal, isQuick } = context
    await using running = new AsyncDisposableStack()
    const system = running.use(
      await startSystem(context, { modules: { 'first-line.ts': firstLineModule(dagId) } }),
    )
    const floor = running.use(await startFloor(context))
    const port = (await freePort('127.0.0.1', 0))!
    const web = await startWeb(context, system, port)
    running.defer(() => web.stop())
    const url = `http://127.0.0.1:${port}/api/v2/dags/${dagId}/dagRuns`

    const counts = { rounds: isQuick ? 3 : 50, warmUp: isQuick ? 1 : 20, signal }
    const fromCommit = await inTurn({
      ...counts,
      async measure() {
        const runId = nextRunId()
        await triggerRun(system.db, { dagId, runId, actor: 'bench' })
        const beganNs = process.hrtime.bigint()
        await succeeded(system.db, dagId, runId, signal)
        return milliseconds(beganNs, await writtenNs(system, runId))
      },
      floor: async () => (await floor.trigger()).fromCommitMs,
    })
    const fromPost = await inTurn({
      ...counts,
      async measure() {
        const runId = nextRunId()
        const beganNs = process.hrtime.bigint()
        await post(url, { run_id: runId })
        await succeeded(system.db, dagId, runId, signal)
        return milliseconds(beganNs, await writtenNs(system, runId))
      },
      floor: async () => (await floor.trigger()).fromSentMs,
    })
    const to = 'the line is in the log file'
    return [
      {
        name: 'a-trigger-to-first-line',
        unit: 'ms',
        ...fromCommit,
        target: '2 ms',
        settings: { from: 'the commit is answered', to },
      },
      {
        name: 'a-trigger-to-first-line-post',
        unit: 'ms',
        ...fromPost,
        target: null,
        settings: { from: 'the POST is sent', to },
      },
    ]
  },
}

function startWeb(context: BenchContext, { db, dataDir }: System, port: number) {
  return startProgram(context, 'web', {
    args: [context.programPath('web')],
    env: {
      BRANCHLINE_DATABASE_URL: db.url,
      BRANCHLINE_DATA_DIR: dataDir,
      BRANCHLINE_WEB_PORT: String(port),
      BRANCHLINE_LOG_LEVEL: 'warn',
    },
    readiness: 'reported',
  })
}

interface Floor extends AsyncDisposable {
  trigger(): Promise<{ fromSentMs: number; fromCommitMs: number }>
}

async function startFloor(context: BenchContext): Promise<Floor> {
  const loop = await startBareLoop(context, { workers: 1 })
  const directory = join(context.directory, 'floor-lines')
  await mkdir(directory, { recursive: true })
  await loop.listen(directory)
  const client = new pg.Client({ connectionString: loop.databaseUrl })
  await client.connect()
  let runs = 0
  return {
    async trigger() {
      runs += 1
      const appended = loop.appended()
      const sentNs = process.hrtime.bigint()
      await client.query({
        name: 'trigger',
        text: `with inserted as (
                 insert into bare_task (run_id, task_id, state) values ($1, 0, 'queued') returning run_id
               )
               select pg_notify($2, run_id::text) from inserted`,
        values: [runs, bareChannel],
      })
      const committedNs = process.hrtime.bigint()
      const appendedNs = await appended
      return {
        fromSentMs: milliseconds(sentNs, appendedNs),
        fromCommitMs: milliseconds(committedNs, appendedNs),
      }
    },
    async [Symbol.asyncDispose]() {
      await client.end()
      await loop[Symbol.asyncDispose]()
    },
  }
}

/** When the first line was in the file, as the task's second line says. */
async function writtenNs({ logsDir }: System, runId: string): Promise<bigint> {
  const path = attemptLogPath(logsDir, {
    dag_id: dagId,
    run_id: runId,
    task_id: 'first',
    map_index: -1,
    try_number: 1,
  })
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  const { at_ns } = JSON.parse(lines[1]!) as { at_ns: string }
  return BigInt(at_ns)
}

const milliseconds = (fromNs: bigint, toNs: bigint): number => Number(toNs - fromNs) / 1e6
