// The parts of one sync, for tests that look at single steps without the program around them.
import { join } from 'node:path'
import { systemClock } from '../../runtime/clock.ts'
import { createLogger } from '../../runtime/log.ts'
import { createGit } from '../../sync/git/git.ts'
import { writeGitConfig } from '../../sync/git/git-config-file.ts'
import { gitConfigVariables } from '../../sync/git/git-config-variables.ts'
import { gitEnvironment } from '../../sync/git/git-environment.ts'
import type { GitConfigEntry } from '../../sync/options/git-config-text.ts'
import { createLayout } from '../../sync/root/layout.ts'
import type { SyncDeps } from '../../sync/sync-once.ts'

/** What `syncOnce` needs, publishing `<root>/current`. */
export async function createSyncDeps(options: {
  root: string
  repo: string
  ref?: string
  depth?: number
  signal?: AbortSignal
  gitConfig?: readonly GitConfigEntry[]
}): Promise<SyncDeps> {
  const {
    root,
    repo,
    ref = 'main',
    depth = 1,
    signal = new AbortController().signal,
    gitConfig = [],
  } = options
  const layout = createLayout(root, { link: 'current' })
  const log = createLogger('sync', { level: 'silent' })
  await writeGitConfig(layout.gitConfigPath, '')
  const environment = gitEnvironment({
    base: { PATH: process.env.PATH, ...gitConfigVariables(gitConfig, {}) },
    withheld: [],
    root,
    gitConfigPath: layout.gitConfigPath,
    ssh: { keyFiles: [], knownHosts: true, knownHostsFile: join(root, 'none'), verbosity: 0 },
  })
  const git = createGit({ binary: 'git', root, environment, signal, redact: (text) => text, log })
  return {
    layout,
    git,
    repo,
    ref,
    depth,
    filter: '',
    staleMs: 0,
    sparseCheckoutFile: '',
    submodules: 'recursive',
    clock: systemClock,
    log,
    findDamage: async (commit, isThorough) =>
      isThorough ? git.changedFiles(layout.worktreePath(commit)) : [],
    refusalOf: () => undefined,
    beforePublish: async () => {},
    onRepaired: () => {},
    onUpdateRequired: () => {},
    onPhase: () => {},
    onFetch: () => {},
  }
}
