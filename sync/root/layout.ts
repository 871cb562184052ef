// What is where below the root. Consumers may rely on the link alone; readers that hold worktrees also on
// runtime/worktree-lease.ts. The rest is ours, and git-sync's where it has the same:
//
//   <root>/.git/                      the repository, not bare; HEAD is refs/heads/git-sync
//   <root>/.git/worktrees/<commit>/   git's own folder of a worktree, with our mark `complete` in it
//   <root>/.worktrees/<commit>/       a worktree
//   <root>/.leases/<commit>/          who holds it
//   <root>/.gate/<commit>.log         what the gate printed about it
//   <root>/.sync-lock                 the one sync that may write here
//   <root>/.sync-gitconfig            the configuration that our git reads in place of the user's
import { basename, join, relative, resolve } from 'node:path'
import { ConfigError } from '../../runtime/errors.ts'
import type { CommitSha } from '../../runtime/ids.ts'
import { leasesFolder, worktreesFolder } from '../../runtime/worktree-lease.ts'

/** The branch that the repository's own HEAD is on; its name is part of git-sync's layout. */
export const ownBranch = 'git-sync'

/** Paths of one root; all absolute. */
export interface Layout {
  root: string
  gitDir: string
  worktreesDir: string
  leasesDir: string
  gateDir: string
  lockPath: string
  gitConfigPath: string
  /** The published link. */
  linkPath: string
  /** undefined: none is wanted. */
  errorFile: string | undefined
  touchFile: string | undefined
  worktreePath(commit: CommitSha): string
  /** git's folder of a worktree. */
  adminPath(commit: CommitSha): string
  /** Exists when every file of the worktree is written. Made last and removed first. */
  completeMark(commit: CommitSha): string
}

/**
 * @param root absolute, symbolic links resolved
 * @param places absolute or relative to the root; the two files may be empty: none
 * @throws ConfigError for a place that is the root's, that of what the root is in, of what is ours in it, or taken
 * by another of them
 */
export function createLayout(
  root: string,
  places: { link: string; errorFile?: string; touchFile?: string },
): Layout {
  const { link, errorFile = '', touchFile = '' } = places
  checkLink(root, link)
  checkFile(root, link, '--error-file', errorFile)
  checkFile(root, link, '--touch-file', touchFile)
  if (errorFile !== '' && touchFile !== '' && resolve(root, errorFile) === resolve(root, touchFile)) {
    throw new ConfigError(
      `invalid flag: --touch-file ${JSON.stringify(touchFile)} is the file of --error-file too, which is removed after each sync: give it a name of its own`,
      { details: { root, path: touchFile } },
    )
  }
  const gitDir = join(root, '.git')
  const adminPath = (commit: CommitSha) => join(gitDir, 'worktrees', commit)
  return {
    root,
    gitDir,
    worktreesDir: join(root, worktreesFolder),
    leasesDir: join(root, leasesFolder),
    gateDir: join(root, '.gate'),
    lockPath: join(root, '.sync-lock'),
    gitConfigPath: join(root, '.sync-gitconfig'),
    linkPath: resolve(root, link),
    errorFile: errorFile === '' ? undefined : resolve(root, errorFile),
    touchFile: touchFile === '' ? undefined : resolve(root, touchFile),
    worktreePath: (commit) => join(root, worktreesFolder, commit),
    adminPath,
    completeMark: (commit) => join(adminPath(commit), 'complete'),
  }
}

/** What is in the link's place is moved aside, and these may not be. */
const ownNames = ['.git', worktreesFolder, leasesFolder, '.gate', '.sync-lock', '.sync-gitconfig']

/** Whether the path is the root, what the root is in, or something of ours below it. */
function isTaken(root: string, path: string): boolean {
  const [first, ...rest] = relative(root, resolve(root, path)).split('/')
  const holdsRoot = first === '' || (first === '..' && rest.every((part) => part === '..'))
  return holdsRoot || ownNames.includes(first!)
}

function checkLink(root: string, link: string): void {
  if (!isTaken(root, link)) return
  throw new ConfigError(
    `invalid flag: --link ${JSON.stringify(link)} (the last part of --repo where it is not given) would stand in the place of the root ${root} or of what sync keeps in it: give the link a name of its own, for instance --link=current`,
    { details: { root, link } },
  )
}

function checkFile(root: string, link: string, flag: string, file: string): void {
  if (file === '') return
  const linkPath = resolve(root, link)
  const holdsLink = `${linkPath}/`.startsWith(`${resolve(root, file)}/`)
  if (!isTaken(root, file) && !holdsLink) return
  throw new ConfigError(
    `invalid flag: ${flag} ${JSON.stringify(file)} would stand in the place of the root ${root}, of the link ${linkPath}, or of what sync keeps: give the file a name of its own`,
    { details: { root, path: file } },
  )
}

/** The link's name where none is given: the last part of the repository's path, `.git` kept, as git-sync does. */
export function defaultLink(repo: string): string {
  return basename(repo.replace(/\/+$/, '')).replace(/^.*:/, '')
}
