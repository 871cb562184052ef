// Who sends push notifications, and how each says what was pushed: one table, read from their own descriptions.
// A payload is only asked which refs it speaks of, and only to leave out syncs that cannot find anything new;
// whatever cannot be told is a reason to sync, never one not to.
import type { IncomingHttpHeaders } from 'node:http'
import { hexHmacHeader, type SignatureScheme, standardWebhook, tokenHeader } from './push-signatures.ts'

export interface PushProvider {
  name: string
  /** The header that tells this sender from others, and holds the event's name; undefined: takes what is left. */
  eventHeader?: string
  /** Headers that may hold an id of the notification, for the log. */
  deliveryHeaders: readonly string[]
  /** Ways of signing; any one that is right suffices. */
  schemes: readonly SignatureScheme[]
  /** The event by which the sender tries whether anybody listens. */
  pingEvent?: string
  /** The sender signs no ping, even where it has a secret. */
  isPingUnsigned?: boolean
  /** Full names (`refs/heads/main`) of what was pushed; undefined where the payload does not say. */
  refs(event: string, payload: Payload): string[] | undefined
}

/** Any JSON: what is asked of it may be there or not. */
export type Payload = { readonly [key: string]: Payload | undefined } | undefined

const hubSignature256 = hexHmacHeader('x-hub-signature-256', 'sha256=')

/** In this order: Gitea and Forgejo also send the headers of those that they are like. */
const providers: readonly PushProvider[] = [
  {
    name: 'forgejo',
    eventHeader: 'x-forgejo-event',
    deliveryHeaders: ['x-forgejo-delivery'],
    schemes: [
      hexHmacHeader('x-forgejo-signature', ''),
      hexHmacHeader('x-gitea-signature', ''),
      hubSignature256,
    ],
    refs: gitHubRefs,
  },
  {
    name: 'gitea',
    eventHeader: 'x-gitea-event',
    deliveryHeaders: ['x-gitea-delivery'],
    schemes: [hexHmacHeader('x-gitea-signature', ''), hubSignature256],
    refs: gitHubRefs,
  },
  {
    name: 'gitlab',
    eventHeader: 'x-gitlab-event',
    deliveryHeaders: ['x-gitlab-event-uuid'],
    schemes: [tokenHeader('x-gitlab-token'), standardWebhook],
    refs: gitLabRefs,
  },
  {
    name: 'bitbucket',
    eventHeader: 'x-event-key',
    deliveryHeaders: ['x-request-uuid', 'x-request-id'],
    schemes: [hexHmacHeader('x-hub-signature', 'sha256=')],
    pingEvent: 'diagnostics:ping',
    isPingUnsigned: true,
    refs: bitbucketRefs,
  },
  {
    name: 'github',
    eventHeader: 'x-github-event',
    deliveryHeaders: ['x-github-delivery'],
    schemes: [hubSignature256],
    pingEvent: 'ping',
    refs: gitHubRefs,
  },
]

const plainPost: PushProvider = {
  name: 'plain',
  deliveryHeaders: ['x-request-id'],
  schemes: [hubSignature256],
  refs: (_event, payload) => fullNames([payload?.ref]),
}

/** Who sent a request with these headers, and the name of the event. */
export function providerOf(headers: IncomingHttpHeaders): { provider: PushProvider; event: string } {
  for (const provider of providers) {
    const event = headers[provider.eventHeader!]
    if (typeof event === 'string') return { provider, event }
  }
  return { provider: plainPost, event: 'push' }
}

/** `push` has a full name; `create` and `delete` a short one and its kind. */
function gitHubRefs(event: string, payload: Payload): string[] | undefined {
  if (event === 'push') return fullNames([payload?.ref])
  if (event !== 'create' && event !== 'delete') return undefined
  return fullNames([named(payload?.ref_type, payload?.ref)])
}

/** Hooks of projects and groups have the ref; `repository_update` of a whole system has a list. */
function gitLabRefs(_event: string, payload: Payload): string[] | undefined {
  const kind: unknown = payload?.object_kind ?? payload?.event_name
  if (kind === 'repository_update') return fullNames(listOf(payload?.refs))
  return kind === 'push' || kind === 'tag_push' ? fullNames([payload?.ref]) : undefined
}

/**
 * Cloud: `push.changes[]` with the state after it in `new`, or null where it was deleted, and before it in `old`.
 * Server and Data Center: `changes[].ref.id`, in full; the list is empty where it would be too long.
 */
function bitbucketRefs(event: string, payload: Payload): string[] | undefined {
  if (event === 'repo:push') {
    return fullNames(
      listOf(payload?.push?.changes).map((change) => {
        const state = change?.new ?? change?.old
        return named(state?.type, state?.name)
      }),
    )
  }
  if (event !== 'repo:refs_changed' && event !== 'mirror:repo_synchronized') return undefined
  return fullNames(listOf(payload?.changes).map((change) => change?.ref?.id))
}

/** The full name of a branch or tag that a payload names shortly. */
function named(kind: unknown, name: unknown): unknown {
  if (typeof name !== 'string') return undefined
  if (kind === 'branch') return `refs/heads/${name}`
  return kind === 'tag' || kind === 'annotated_tag' ? `refs/tags/${name}` : undefined
}

/** Undefined where there are none, or one is no full name: then the payload is not as we know it. */
function fullNames(names: unknown[]): string[] | undefined {
  const isFull = (name: unknown): name is string => typeof name === 'string' && name.startsWith('refs/')
  return names.length > 0 && names.every(isFull) ? names : undefined
}

function listOf(value: unknown): Payload[] {
  return Array.isArray(value) ? value : []
}
