// A whole deployment in the test's process, with nothing left out: Postgres, scheduler, loader, task runners and the
// API; the command line under test is a process beside it.
import { createLogger } from '../../runtime/log.ts'
import { version } from '../../runtime/version.ts'
import { createWebServer, type WebServer } from '../../web/server/web-server.ts'
import { type SchedulerFixture, startScheduler } from '../support/scheduler.ts'
import { type CliProcess, type CliResult, cli, startCli } from './cli-process.ts'

export interface Deployment extends AsyncDisposable {
  scheduler: SchedulerFixture
  web: WebServer
  url: string
  /** Runs `branchline` against this deployment. */
  cli(...args: string[]): Promise<CliResult>
  start(...args: string[]): CliProcess
}

/** @param modules file → text of Dag modules; see `startScheduler` */
export async function startDeployment(modules: Record<string, string>): Promise<Deployment> {
  await using cleanup = new AsyncDisposableStack()
  const scheduler = cleanup.use(await startScheduler(modules))
  const web = cleanup.use(
    createWebServer({
      db: scheduler.db,
      logsDir: scheduler.logsDir,
      log: createLogger('web', { level: 'error' }),
      version,
    }),
  )
  const { url } = await web.start({ host: '127.0.0.1', port: 0 })
  const owned = cleanup.move()
  return {
    scheduler,
    web,
    url,
    cli: (...args) => cli(args, { url }),
    start: (...args) => startCli(args, { url }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
