// What is synced: repository, ref, and how much of it.
import type { OptionRow } from '../option-row.ts'

const group = 'Repository'

export const repositoryOptions = {
  repo: {
    group,
    flag: 'repo',
    env: 'GITSYNC_REPO',
    oldEnv: ['GIT_SYNC_REPO'],
    type: 'string',
    default: '',
    help: 'the repository to sync: anything that `git fetch` takes (required)',
    more: 'User and password in an http(s) URL are split off and used as --username and password; they do not get into the URL that git sees. An SSH URL keeps its user.',
  },
  ref: {
    group,
    flag: 'ref',
    env: 'GITSYNC_REF',
    type: 'string',
    default: 'HEAD',
    help: 'the branch, tag or full commit hash to publish',
    more: 'HEAD is the default branch of the repository. A tag that is moved is followed like a branch. A full hash is synced once, and nothing is asked of the server after that; abbreviated hashes do not work.',
  },
  depth: {
    group,
    flag: 'depth',
    env: 'GITSYNC_DEPTH',
    oldEnv: ['GIT_SYNC_DEPTH'],
    type: 'int',
    default: 1,
    help: 'how many commits of history to fetch; 0 fetches all',
    more: 'Counts for submodules too. It may be changed between runs: history is deepened or cut at the first fetch.',
  },
  filter: {
    group,
    flag: 'filter',
    env: 'GITSYNC_FILTER',
    type: 'string',
    default: '',
    help: 'fetch only some objects, as `git fetch --filter` does (a partial clone), for instance blob:none',
    more: 'What is missing is fetched when files are checked out. Together with --sparse-checkout-file it saves most of a large repository.',
  },
  submodules: {
    group,
    flag: 'submodules',
    env: 'GITSYNC_SUBMODULES',
    oldEnv: ['GIT_SYNC_SUBMODULES'],
    type: 'string',
    default: 'recursive',
    choices: ['recursive', 'shallow', 'off'],
    help: 'what to do with submodules: recursive, shallow (only those of the repository itself) or off',
  },
  sparseCheckoutFile: {
    group,
    flag: 'sparse-checkout-file',
    env: 'GITSYNC_SPARSE_CHECKOUT_FILE',
    oldEnv: ['GIT_SYNC_SPARSE_CHECKOUT_FILE'],
    type: 'string',
    default: '',
    help: 'a file of patterns, as for git sparse-checkout, that say which files to check out (default: all)',
    more: 'The path counts from the working directory of the program. The file is read again for every new commit.',
  },
} as const satisfies Record<string, OptionRow>
