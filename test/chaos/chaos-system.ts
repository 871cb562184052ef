// The running system that the chaos test breaks: Postgres, sync, two schedulers and the server under the
// supervisor of `branchline dev`, which starts again what was killed.
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ProgramOptions, programPart } from '../../cli/dev/supervised-program.ts'
import { createSupervisor, type Part, type Supervisor } from '../../cli/dev/supervisor.ts'
import { createLogger } from '../../runtime/log.ts'
import { type Program, programPath } from '../../runtime/programs.ts'
import { createDeployment, type Deployment } from '../support/deployment.ts'
import { createTestRepository, type TestRepository } from '../support/git-server.ts'
import { chaosModules } from './chaos-dags.ts'

const programNames = ['scheduler-1', 'scheduler-2', 'web', 'sync', 'postgres'] as const
export type ProgramName = (typeof programNames)[number]

export interface ChaosSystem extends AsyncDisposable {
  deployment: Deployment
  repository: TestRepository
  supervisor: Supervisor
  /** Process of a program; undefined while it is started again. */
  pidOf(name: ProgramName): number | undefined
  /** Task runners of both schedulers. */
  runners(): number[]
}

/** What is killed often is to be back soon: the pauses between restarts grow no further than this. */
const maxRestartDelayMs = 400

export async function startChaosSystem(): Promise<ChaosSystem> {
  const repository = await createTestRepository(chaosModules(0))
  const root = (directory: string) => join(directory, 'sync')
  const deployment = await createDeployment({
    env: (directory) => ({
      BRANCHLINE_SOURCE_PATH: join(root(directory), 'current'),
      BRANCHLINE_TASK_KILL_GRACE: '500ms',
      BRANCHLINE_LOCAL_EXECUTOR_SLOTS: '3',
      BRANCHLINE_WEB_PORT: '0',
    }),
  })
  const { directory, env } = deployment
  const program = (name: ProgramName, file: Program, more: Partial<ProgramOptions> = {}): Part =>
    programPart({
      name,
      args: [programPath(file), ...(more.args ?? [])],
      env,
      cwd: directory,
      onLine: ({ text }) => appendFileSync(join(directory, `${name}.log`), `${text}\n`),
      ...(more.readiness && { readiness: more.readiness }),
    })
  const syncArgs = [
    ...['--repo', repository.url, '--ref', 'main', '--root', root(directory), '--link', 'current'],
    ...['--period', '300ms', '--max-failures', '-1'],
  ]
  const supervisor = createSupervisor({
    parts: [
      { name: 'postgres', start: () => deployment.startPostgres() },
      program('sync', 'sync', { args: syncArgs }),
      program('scheduler-1', 'scheduler'),
      program('scheduler-2', 'scheduler'),
      program('web', 'web'),
    ],
    log: createLogger('supervisor', {
      destination: { write: (line) => appendFileSync(join(directory, 'supervisor.log'), line) },
    }),
    maxRestartDelayMs,
  })
  await supervisor.start()
  const runnerFile = programPath('task')
  return {
    deployment,
    repository,
    supervisor,
    pidOf: (name) => supervisor.status().find((part) => part.name === name)?.pid ?? undefined,
    runners: () =>
      deployment
        .processes()
        .filter(({ command }) => command.includes(runnerFile))
        .map(({ pid }) => pid),
    async [Symbol.asyncDispose]() {
      await supervisor.stop()
      await deployment[Symbol.asyncDispose]()
      await repository.close()
    },
  }
}
