// The parts of one sync, for tests that look at single steps without the program around them.
import { join } from 'node:path'
import { systemClock } from '../../runtime/clock.ts'
import { createLogger } from '../../runtime/log.ts'
import { createGit } from '../../sync/git/git.ts'
import { gitEnvironment, writeGitConfig } from '../../sync/git/git-environment.ts'
import { createLayout } from '../../sync/root/layout.ts'
import type { SyncDeps } from '../../sync/sync-once.ts'

/** What `syncOnce` needs, publishing `<root>/current`. */
export async function createSyncDeps(options: {
  root: string
  repo: string
  ref?: string
  depth?: number
  signal?: AbortSignal
}): Promise<SyncDeps> {
  const { root, repo, ref = 'main', depth = 1, signal = new AbortController().signal } = options
  const layout = createLayout(root, 'current')
  const log = createLogger('sync', { level: 'silent' })
  await writeGitConfig(layout.gitConfigPath, '')
  const environment = gitEnvironment({
    base: { PATH: process.env.PATH },
    root,
    gitConfigPath: layout.gitConfigPath,
    ssh: { keyFiles: [], knownHosts: true, knownHostsFile: join(root, 'none') },
  })
  const git = createGit({ binary: 'git', root, environment, signal, redact: (text) => text, log })
  return { layout, git, repo, ref, depth, clock: systemClock, log }
}
