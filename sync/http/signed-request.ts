// Reads a push notification and decides whether to believe it. The body is checked as it comes and only its
// first part is kept, so that neither a large push nor a stranger costs memory; whoever signs nothing is refused
// before the body is read.
import type { IncomingMessage } from 'node:http'
import type { PushProvider } from './push-providers.ts'
import type { SignatureCheck } from './push-signatures.ts'

/** The largest body that GitHub sends. Smaller: large pushes are refused. Larger: strangers keep us busy. */
const maxBodyBytes = 25 * 1_024 * 1_024
/**
 * What is kept of a body, to read the refs from. Smaller: pushes of many commits sync for other refs than ours.
 * Larger: as many strangers as may connect fill the memory.
 */
const maxKeptBytes = 512 * 1_024

/** A notification that is to be believed. */
export interface SignedRequest {
  /** The JSON text; undefined where it was too long to keep. */
  payload: string | undefined
}

/** Why one is not. */
export interface Refusal {
  /** HTTP status. */
  status: 401 | 413
  /** For the sender; names the header that is wanted. */
  reason: string
}

/** @param secrets any one of them may have signed it */
export async function readSignedRequest(
  request: IncomingMessage,
  provider: PushProvider,
  secrets: readonly string[],
): Promise<SignedRequest | Refusal> {
  const tooLarge: Refusal = { status: 413, reason: `the body is larger than ${maxBodyBytes} bytes` }
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return tooLarge
  const checks = beginChecks(request, provider, secrets)
  if (checks.length === 0) return { status: 401, reason: `not signed. ${wanted(provider)}` }
  const body = await readBody(request, checks)
  if (body === 'too_large') return tooLarge

  const payload = body === 'not_kept' ? undefined : payloadOf(request, body.toString('utf8'))
  if (isAnyRight(checks)) return { payload }
  // Gitea and Forgejo sign the payload of a form, not the body that has it.
  if (isForm(request) && payload !== undefined) {
    const payloadChecks = beginChecks(request, provider, secrets)
    for (const check of payloadChecks) check.update(Buffer.from(payload))
    if (isAnyRight(payloadChecks)) return { payload }
  }
  return {
    status: 401,
    reason: `the signature is not right: another secret, or another body. ${wanted(provider)}`,
  }
}

/** The checks that the request has headers for. */
function beginChecks(
  request: IncomingMessage,
  provider: PushProvider,
  secrets: readonly string[],
): SignatureCheck[] {
  return provider.schemes.flatMap((scheme) => scheme.begin(request.headers, secrets) ?? [])
}

function isAnyRight(checks: readonly SignatureCheck[]): boolean {
  return checks.map((check) => check.isRight()).includes(true)
}

/** Shows all of the body to the checks. Leaves the connection as it is, so that it can be answered. */
async function readBody(
  request: IncomingMessage,
  checks: readonly SignatureCheck[],
): Promise<Buffer | 'not_kept' | 'too_large'> {
  const kept: Buffer[] = []
  let length = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBodyBytes) return 'too_large'
    for (const check of checks) check.update(chunk)
    if (length <= maxKeptBytes) kept.push(chunk)
    else kept.length = 0
  }
  return length <= maxKeptBytes ? Buffer.concat(kept) : 'not_kept'
}

function isForm(request: IncomingMessage): boolean {
  return /^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')
}

/** All of the body, or the field `payload` of a form. curl calls JSON a form too, unless it is told. */
function payloadOf(request: IncomingMessage, body: string): string | undefined {
  if (!isForm(request) || body.startsWith('{')) return body
  return new URLSearchParams(body).get('payload') ?? undefined
}

function wanted({ schemes, name }: PushProvider): string {
  const headers = schemes.map(({ header, form }) => `${header}: ${form}`).join(', or ')
  return `Wanted${name === 'plain' ? '' : ` of ${name}`}: ${headers}, by the secret that sync was given`
}
