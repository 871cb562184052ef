// All that tasks need which run in pods of a real node, each part a process of its own: a Git server that pods reach,
// sync beside the scheduler, the API that attempts report to. Everything but the scheduler's place is as in
// examples/kubernetes.
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createTestRepository, serveGitOverHttp } from '../../test/support/git-server.ts'
import type { BenchContext } from './bench-case.ts'
import { createPodPlace, type PodPlace } from './pod-system.ts'
import {
  createSite,
  dagsAreLive,
  type RunningProgram,
  type Site,
  startProgram,
  startScheduler,
} from './system.ts'

export interface PodSite extends Site {
  place: PodPlace
  scheduler: RunningProgram
  web: RunningProgram
}

const username = 'bench'
const password = 'a-password'

/** @param files of the repository, modules with so many Dags among them */
export async function startPodSite(
  context: BenchContext,
  name: string,
  { files, dags }: { files: Record<string, string>; dags: number },
): Promise<PodSite> {
  await using starting = new AsyncDisposableStack()
  const place = starting.use(await createPodPlace(name))
  const { address } = place.cluster
  const repository = starting.use(await createTestRepository(files))
  const server = starting.use(
    await serveGitOverHttp({ folder: repository.folder, username, password, address }),
  )
  const repo = server.url('origin.git')
  await place.namespace.kubectl([
    ...['create', 'secret', 'generic', 'git-credentials'],
    `--from-literal=GITSYNC_USERNAME=${username}`,
    `--from-literal=GITSYNC_PASSWORD=${password}`,
  ])
  const site = starting.use(await createSite(context))
  const root = join(site.directory, 'sync')
  await mkdir(root)
  const sync = await startProgram(context, 'sync', {
    args: [
      context.programPath('sync'),
      ...['--repo', repo, '--ref', 'main', '--root', root, '--link', 'current', '--period', '1h'],
    ],
    env: { GITSYNC_USERNAME: username, GITSYNC_PASSWORD: password },
  })
  starting.defer(() => sync.stop())
  const port = await freePortOf(address)
  const apiUrl = `http://${address}:${port}`
  const env = {
    ...place.env,
    BRANCHLINE_EXECUTION_API_URL: apiUrl,
    BRANCHLINE_GIT_SYNC_REPO: repo,
    BRANCHLINE_GIT_SYNC_CREDENTIALS_SECRET: 'git-credentials',
  }
  const scheduler = await startScheduler(context, site, { sourcePath: join(root, 'current'), env })
  starting.defer(() => scheduler.stop())
  const web = await startProgram(context, 'web', {
    args: [context.programPath('web')],
    env: {
      ...env,
      BRANCHLINE_DATABASE_URL: site.db.url,
      BRANCHLINE_DATA_DIR: site.dataDir,
      BRANCHLINE_WEB_HOST: address,
      BRANCHLINE_WEB_PORT: String(port),
      BRANCHLINE_LOG_LEVEL: 'warn',
    },
    readiness: 'reported',
  })
  starting.defer(() => web.stop())
  await dagsAreLive(context, site.db, dags, 20)
  const stack = starting.move()
  return { ...site, place, scheduler, web, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function freePortOf(address: string): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
