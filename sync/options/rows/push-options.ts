// Being told of a push instead of asking.
import type { OptionRow } from '../option-row.ts'

const group = 'Push notifications'

export const pushOptions = {
  listen: {
    group,
    flag: 'listen',
    env: 'GITSYNC_LISTEN',
    type: 'string',
    default: '',
    ours: true,
    help: 'where to take push notifications of GitHub, GitLab, Gitea, Forgejo and Bitbucket, for instance :8080; each syncs at once (default: nowhere)',
    more: 'The path is of no matter. Signatures are checked; a plain POST that is signed as GitHub does it is taken too. Polling by --period goes on beside it, so that a lost notification only delays. Needs --listen-secret-file or $GITSYNC_LISTEN_SECRET.',
  },
  listenSecretFile: {
    group,
    flag: 'listen-secret-file',
    env: 'GITSYNC_LISTEN_SECRET_FILE',
    type: 'string',
    default: '',
    ours: true,
    help: 'a file with the secret that push notifications are signed with; several, one on each line, hold side by side',
    more: 'It is read again for each notification.',
  },
  listenSecret: {
    group,
    env: 'GITSYNC_LISTEN_SECRET',
    type: 'string',
    default: '',
    secret: true,
    ours: true,
    help: 'the same secret, where there is no --listen-secret-file',
  },
} as const satisfies Record<string, OptionRow>
