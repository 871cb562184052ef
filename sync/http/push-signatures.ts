// Whether a push notification was made by somebody who knows a secret. Each scheme is one header and its check,
// over the bytes of the body as they come, so that a large body need not be kept to be checked; no comparison
// takes longer the more of it is right.
//
// A notification may be sent twice, by whoever kept a copy: no time is checked and no id remembered, because all
// that it does is one sync, which changes nothing where nothing is new, and a clock that is wrong would cost pushes.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** One way to prove that one knows a secret. */
export interface SignatureScheme {
  /** Lower case, as Node has headers. */
  header: string
  /** What the header is to hold, for messages. */
  form: string
  /** Begins to check one request; undefined where it lacks the header, or one that belongs to it. */
  begin(headers: IncomingHttpHeaders, secrets: readonly string[]): SignatureCheck | undefined
}

/** The check of one body. */
export interface SignatureCheck {
  update(chunk: Buffer): void
  /** Once, after the last chunk: whether any of the secrets fits. */
  isRight(): boolean
}

/** `sha256=<hex>` of GitHub and its likes; the bare hexadecimal of Gitea. */
export function hexHmacHeader(header: string, prefix: '' | 'sha256='): SignatureScheme {
  return {
    header,
    form: `${prefix}<HMAC-SHA256 of the body, hexadecimal>`,
    begin: (headers, secrets) => {
      const text = headerOf(headers, header)
      if (text === undefined) return undefined
      const hex = text.startsWith(prefix) ? text.slice(prefix.length) : ''
      return checkHmacs(secrets, [/^[0-9a-f]{64}$/i.test(hex) ? Buffer.from(hex, 'hex') : Buffer.alloc(0)])
    },
  }
}

/** The secret itself: GitLab's secret token. */
export function tokenHeader(header: string): SignatureScheme {
  return {
    header,
    form: '<the secret itself>',
    begin: (headers, secrets) => {
      const text = headerOf(headers, header)
      if (text === undefined) return undefined
      // Digests, because all of them have the same length.
      const digest = (value: string) => createHash('sha256').update(value).digest()
      return {
        update: () => {},
        isRight: () => anyOf(secrets, (secret) => isEqual(digest(text), digest(secret))),
      }
    },
  }
}

/** The symmetric scheme of Standard Webhooks (https://www.standardwebhooks.com): GitLab's signing token. */
export const standardWebhook: SignatureScheme = {
  header: 'webhook-signature',
  form: 'v1,<HMAC-SHA256 of webhook-id.webhook-timestamp.body, base64> by a token of the form whsec_…',
  begin: (headers, secrets) => {
    const signatures = headerOf(headers, 'webhook-signature')
    const id = headerOf(headers, 'webhook-id')
    const timestamp = headerOf(headers, 'webhook-timestamp')
    if (signatures === undefined || id === undefined || timestamp === undefined) return undefined
    // Several where the sender is changing its secret; v1a is by a public key, of which we have none.
    const given = signatures
      .split(' ')
      .filter((signature) => signature.startsWith('v1,'))
      .map((signature) => Buffer.from(signature.slice('v1,'.length), 'base64'))
    const keys = secrets
      .filter((secret) => secret.startsWith('whsec_'))
      .map((secret) => Buffer.from(secret.slice('whsec_'.length), 'base64'))
    const check = checkHmacs(keys, given)
    check.update(Buffer.from(`${id}.${timestamp}.`))
    return check
  },
}

/** An empty key would be one that everybody knows. */
function checkHmacs(keys: readonly (string | Buffer)[], given: readonly Buffer[]): SignatureCheck {
  const hmacs = keys.filter((key) => key.length > 0).map((key) => createHmac('sha256', key))
  return {
    update: (chunk) => {
      for (const hmac of hmacs) hmac.update(chunk)
    },
    isRight: () => {
      const digests = hmacs.map((hmac) => hmac.digest())
      return anyOf(digests, (digest) => anyOf(given, (signature) => isEqual(signature, digest)))
    },
  }
}

/** An empty header is none: Gitea sends them where it has no secret. */
function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
}

function isEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Asks all of them, also after one fits. */
function anyOf<T>(values: readonly T[], fits: (value: T) => boolean): boolean {
  return values.map(fits).includes(true)
}
