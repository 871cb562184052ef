// How `dev` runs sync: its arguments, from what is followed. A person's own keys and known hosts are taken where he
// names none (by GITSYNC_ variables, which reach sync as they are): git-sync's defaults are paths of a container.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { RepositorySource } from './dev-source.ts'

/** Name of the link in sync's root. */
export const linkName = 'current'

/** A poll of a repository on this machine costs one short git process. */
const localPeriod = '1s'
/** Servers of others are asked less often. Longer: a push without a webhook takes that much longer to be live. */
const remotePeriod = '5s'

/** Those that ssh would try by itself. */
const keyNames = ['id_ed25519', 'id_ecdsa', 'id_rsa']

export interface SyncArguments {
  source: RepositorySource
  /** sync's own directory. */
  root: string
  /** Loopback port of its HTTP endpoint. */
  port: number
  /** Overrides how often it looks: text that sync understands ('500ms'). */
  period?: string | undefined
  /** Whether a first sync that fails ends it, instead of being tried again. */
  mustSucceed: boolean
  /** Commits of history that a run can see; 0: all. */
  depth: number
  /** Of the person. */
  env: Readonly<Record<string, string | undefined>>
  home: string
}

/** Arguments after the program's path. */
export function syncArguments(options: SyncArguments): string[] {
  const { source, root, port, period, mustSucceed, depth } = options
  return [
    ...['--repo', source.repo, '--ref', source.ref, '--root', root, '--link', linkName],
    ...['--period', period ?? (source.isLocal ? localPeriod : remotePeriod), '--depth', String(depth)],
    ...['--http-bind', `127.0.0.1:${port}`, '--max-failures', mustSucceed ? '1' : '-1'],
    ...sshArguments(options),
  ]
}

function sshArguments({ env, home }: SyncArguments): string[] {
  const keys = keyNames.map((name) => join(home, '.ssh', name)).filter((path) => existsSync(path))
  const knownHosts = join(home, '.ssh', 'known_hosts')
  return [
    ...(env.GITSYNC_SSH_KEY_FILE === undefined ? keys.flatMap((path) => ['--ssh-key-file', path]) : []),
    ...(env.GITSYNC_SSH_KNOWN_HOSTS_FILE === undefined && existsSync(knownHosts)
      ? ['--ssh-known-hosts-file', knownHosts]
      : []),
  ]
}
