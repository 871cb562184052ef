// Push notifications as the providers send them: headers and the shape of the payload from their descriptions,
// cut to what matters here and a little of what does not.
import { createHmac, randomBytes } from 'node:crypto'

/** A request to the listener. */
export interface Notification {
  headers: Record<string, string>
  body: string
}

const before = '1'.repeat(40)
const after = '2'.repeat(40)
const nobody = '0'.repeat(40)

/** HMAC-SHA256 in hexadecimal. */
export function hex(secret: string, body: string): string {
  return createHmac('sha256', secret).update(body).digest('hex')
}

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads */
export function gitHub(secret: string, event: string, payload: object): Notification {
  const body = JSON.stringify({ ...payload, repository: { full_name: 'team/dags' }, sender: { login: 'me' } })
  return {
    headers: {
      'content-type': 'application/json',
      'user-agent': 'GitHub-Hookshot/044aadd',
      'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
      'x-github-event': event,
      'x-github-hook-id': '292430182',
      'x-hub-signature': `sha1=${createHmac('sha1', secret).update(body).digest('hex')}`,
      'x-hub-signature-256': `sha256=${hex(secret, body)}`,
    },
    body,
  }
}

export function gitHubPush(secret: string, ref: string): Notification {
  return gitHub(secret, 'push', {
    ...{ ref, before, after, created: false, deleted: false, forced: false },
    commits: [{ id: after, message: 'a change', distinct: true }],
  })
}

/** As a form: the field `payload`, and the signature over the body as it is. */
export function gitHubForm(secret: string, ref: string): Notification {
  const { headers, body: payload } = gitHubPush(secret, ref)
  const body = new URLSearchParams({ payload }).toString()
  return {
    headers: {
      ...headers,
      'content-type': 'application/x-www-form-urlencoded',
      'x-hub-signature-256': `sha256=${hex(secret, body)}`,
    },
    body,
  }
}

/** https://docs.gitlab.com/user/project/integrations/webhooks/ with its secret token. */
export function gitLabPush(secret: string, ref: string): Notification {
  const kind = ref.startsWith('refs/tags/') ? 'tag_push' : 'push'
  return {
    headers: {
      'content-type': 'application/json',
      'user-agent': 'GitLab/18.9.0',
      'idempotency-key': 'f5e5f430-f57b-4e6e-9fac-d9128cd7232f',
      'x-gitlab-event': kind === 'push' ? 'Push Hook' : 'Tag Push Hook',
      'x-gitlab-event-uuid': '13792a34-cac6-4fda-95a8-c58e00a3954e',
      'x-gitlab-instance': 'https://gitlab.example',
      'x-gitlab-token': secret,
    },
    body: JSON.stringify({
      ...{ object_kind: kind, event_name: kind, ref, before, after, checkout_sha: after },
      project: { path_with_namespace: 'team/dags', default_branch: 'main' },
      commits: [{ id: after, message: 'a change' }],
      total_commits_count: 1,
    }),
  }
}

/** The same with its signing token, `whsec_` and the key in base64. */
export function gitLabSignedPush(signingToken: string, ref: string): Notification {
  const { headers, body } = gitLabPush('', ref)
  const id = headers['idempotency-key']!
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const key = Buffer.from(signingToken.replace(/^whsec_/, ''), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  delete headers['x-gitlab-token']
  return {
    headers: {
      ...headers,
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
    },
    body,
  }
}

export function newSigningToken(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

/** The hooks of a whole GitLab, at most one for each push. */
export function gitLabSystemHook(secret: string, refs: string[]): Notification {
  const { headers } = gitLabPush(secret, 'refs/heads/main')
  return {
    headers: { ...headers, 'x-gitlab-event': 'System Hook' },
    body: JSON.stringify({
      event_name: 'repository_update',
      project: { path_with_namespace: 'team/dags' },
      changes: refs.map((ref) => ({ before, after, ref })),
      refs,
    }),
  }
}

/** https://docs.gitea.com/usage/repository/webhooks: also sends what GitHub and Gogs would. */
export function giteaPush(secret: string, ref: string, brand: 'gitea' | 'forgejo' = 'gitea'): Notification {
  const body = JSON.stringify(
    {
      ref,
      before,
      after,
      commits: [{ id: after, message: 'a change' }],
      repository: { full_name: 'team/dags' },
    },
    null,
    2,
  )
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  const names = brand === 'forgejo' ? ['Forgejo', 'Gitea', 'Gogs'] : ['Gitea', 'Gogs']
  for (const name of names) {
    headers[`x-${name}-delivery`] = 'f6266f16-1bf3-46a5-9ea4-602e06ead473'
    headers[`x-${name}-event`] = 'push'
    headers[`x-${name}-event-type`] = 'push'
    headers[`x-${name}-signature`] = hex(secret, body)
  }
  headers['x-github-delivery'] = 'f6266f16-1bf3-46a5-9ea4-602e06ead473'
  headers['x-github-event'] = 'push'
  headers['x-hub-signature'] = `sha1=${createHmac('sha1', secret).update(body).digest('hex')}`
  headers['x-hub-signature-256'] = `sha256=${hex(secret, body)}`
  return { headers, body }
}

/** As a form: Gitea signs the payload and not the body. */
export function giteaForm(secret: string, ref: string): Notification {
  const { headers, body: payload } = giteaPush(secret, ref)
  return {
    headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ payload }).toString(),
  }
}

type BitbucketState = { type: 'branch' | 'tag'; name: string } | null

/** https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/ */
export function bitbucketCloudPush(
  secret: string,
  changes: { old: BitbucketState; new: BitbucketState }[],
): Notification {
  const state = (named: BitbucketState) =>
    named && { ...named, target: { type: 'commit', hash: after, message: 'a change' } }
  const body = JSON.stringify({
    push: {
      changes: changes.map((change) => ({
        ...{ old: state(change.old), new: state(change.new) },
        ...{ created: change.old === null, closed: change.new === null, forced: false, truncated: false },
      })),
    },
    repository: { type: 'repository', full_name: 'team/dags' },
  })
  return {
    headers: {
      'content-type': 'application/json',
      'user-agent': 'Bitbucket-Webhooks/2.0',
      'x-event-key': 'repo:push',
      'x-hook-uuid': '5f0a1d0e-4a54-4d9b-9d1f-5d3bbb2e64bc',
      'x-request-uuid': '8f5d2a9c-7a8b-4b56-9f0c-1b9a8d3b8f11',
      'x-attempt-number': '1',
      'x-hub-signature': `sha256=${hex(secret, body)}`,
    },
    body,
  }
}

/** https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html */
export function bitbucketServerPush(secret: string, refs: string[]): Notification {
  const body = JSON.stringify({
    eventKey: 'repo:refs_changed',
    date: '2026-01-01T00:00:00+0000',
    repository: { slug: 'dags', project: { key: 'TEAM' } },
    changes: refs.map((ref) => ({
      ref: {
        id: ref,
        displayId: ref.replace(/^refs\/(heads|tags)\//, ''),
        type: ref.startsWith('refs/tags/') ? 'TAG' : 'BRANCH',
      },
      ...{ refId: ref, fromHash: before, toHash: nobody, type: 'DELETE' },
    })),
  })
  return {
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'x-event-key': 'repo:refs_changed',
      'x-request-id': 'fb4ed4c3-2a7a-4e2b-b1f2-7a1b6e3f8a44',
      'x-hub-signature': `sha256=${hex(secret, body)}`,
    },
    body,
  }
}

/** Of anything that can run a command: `openssl dgst -sha256 -hmac`. */
export function plainPush(secret: string, body = ''): Notification {
  return { headers: { 'x-hub-signature-256': `sha256=${hex(secret, body)}` }, body }
}
