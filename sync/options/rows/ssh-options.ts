// Keys for SSH, and which servers to trust.
import type { OptionRow } from '../option-row.ts'

const group = 'SSH'

export const sshOptions = {
  sshKeyFile: {
    group,
    flag: 'ssh-key-file',
    env: 'GITSYNC_SSH_KEY_FILE',
    oldEnv: ['GIT_SYNC_SSH_KEY_FILE', 'GIT_SSH_KEY_FILE'],
    type: 'strings',
    default: ['/etc/git-secret/ssh'],
    repeats: true,
    help: 'a private key; may be given several times (in the variable: separated by colons)',
    more: 'Flags replace the default and what the variable has.',
  },
  sshKnownHosts: {
    group,
    flag: 'ssh-known-hosts',
    env: 'GITSYNC_SSH_KNOWN_HOSTS',
    oldEnv: ['GIT_SYNC_KNOWN_HOSTS', 'GIT_KNOWN_HOSTS'],
    type: 'bool',
    default: true,
    help: "refuse a server whose key is not in --ssh-known-hosts-file; with =false any server's key is taken",
  },
  sshKnownHostsFile: {
    group,
    flag: 'ssh-known-hosts-file',
    env: 'GITSYNC_SSH_KNOWN_HOSTS_FILE',
    oldEnv: ['GIT_SYNC_SSH_KNOWN_HOSTS_FILE', 'GIT_SSH_KNOWN_HOSTS_FILE'],
    type: 'string',
    default: '/etc/git-secret/known_hosts',
    help: 'the keys of the servers that are to be trusted',
  },
} as const satisfies Record<string, OptionRow>
