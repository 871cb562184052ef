// Which pod asks, from the token that the kubelet projects into it: a service account token for our audience alone,
// bound to that one pod, and signed by the API server. It is checked here with the API server's public keys, not by
// asking the API server (TokenReview): that takes a role for the whole cluster, and a call for each request. What this
// does not see is a pod that was deleted while its token is good; whoever uses the answer compares the pod's uid with
// the ledger, and an attempt whose pod is gone is not the current one any more.
import type { JWTPayload, JWTVerifyGetKey } from 'jose'
import { decodeProtectedHeader } from 'jose/decode/protected_header'
import * as errors from 'jose/errors'
import { createLocalJWKSet } from 'jose/jwks/local'
import { jwtVerify } from 'jose/jwt/verify'
import { UnauthenticatedError } from '../runtime/errors.ts'
import { tokenAudience } from '../runtime/execution-api.ts'

export interface PodIdentity {
  namespace: string
  podName: string
  podUid: string
}

export interface PodIdentification {
  /**
   * The pod whose token this is.
   * @throws UnauthenticatedError which says what is wrong with it, without the token
   * @throws whatever `keySet` and `issuer` throw, where the keys are not known yet
   */
  identify(token: string): Promise<PodIdentity>
}

/** Of the keys. Longer: a key that the cluster withdrew is believed for as long. */
const maxAgeMs = 600_000
/** Between two looks for a key that is not among those known: whoever sends nonsense costs no more calls than this. */
const unknownKeyMs = 5_000
/** How far the clocks of API server and ours may differ, in seconds. */
const clockToleranceSeconds = 60

/** @param deps.keySet the API server's public keys, @param deps.issuer what it writes into tokens as `iss` */
export function createPodIdentification(deps: {
  keySet: () => Promise<{ keys: Record<string, unknown>[] }>
  issuer: () => Promise<string>
  now?: () => number
}): PodIdentification {
  const now = deps.now ?? Date.now
  let known: { issuer: string; getKey: JWTVerifyGetKey; kids: ReadonlySet<unknown>; at: number } | undefined
  let fetching: Promise<void> | undefined
  let fetchedAt = Number.NEGATIVE_INFINITY

  function fetchKeys(): Promise<void> {
    fetching ??= Promise.all([deps.keySet(), deps.issuer()])
      .then(([keySet, issuer]) => {
        const kids = new Set(keySet.keys.map(({ kid }) => kid))
        known = { issuer, getKey: createLocalJWKSet(keySet as never), kids, at: now() }
      })
      .finally(() => {
        fetchedAt = now()
        fetching = undefined
      })
    return fetching
  }

  async function keysFor(kid: string | undefined) {
    if (known === undefined) await fetchKeys()
    else if (!known.kids.has(kid) && now() - fetchedAt > unknownKeyMs) await fetchKeys().catch(() => {})
    // While the API server is away, its keys stay what they were.
    else if (now() - known.at > maxAgeMs && now() - fetchedAt > unknownKeyMs) fetchKeys().catch(() => {})
    return known!
  }

  return {
    async identify(token) {
      const { issuer, getKey } = await keysFor(keyIdOf(token))
      try {
        const { payload } = await jwtVerify(token, getKey, {
          issuer,
          audience: tokenAudience,
          clockTolerance: clockToleranceSeconds,
          currentDate: new Date(now()),
          requiredClaims: ['exp'],
        })
        return podOf(payload)
      } catch (error) {
        throw refusal(error, issuer)
      }
    },
  }
}

function keyIdOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid
  } catch (cause) {
    throw new UnauthenticatedError('the token is none: it is no JWT', { cause })
  }
}

function podOf(payload: JWTPayload): PodIdentity {
  const { namespace, pod } = (payload['kubernetes.io'] ?? {}) as {
    namespace?: unknown
    pod?: { name?: unknown; uid?: unknown }
  }
  const { name, uid } = pod ?? {}
  if (typeof namespace === 'string' && typeof name === 'string' && typeof uid === 'string')
    return { namespace, podName: name, podUid: uid }
  throw new UnauthenticatedError(
    'the token is of no pod: it is to be one that is projected into a pod (serviceAccountToken with an audience)',
  )
}

function refusal(error: unknown, issuer: string): Error {
  if (error instanceof UnauthenticatedError) return error
  if (error instanceof errors.JWTExpired)
    return new UnauthenticatedError('the token has expired, and the kubelet has not replaced it', {
      cause: error,
    })
  if (error instanceof errors.JWTClaimValidationFailed) return claimRefusal(error, issuer)
  if (error instanceof errors.JWKSNoMatchingKey)
    return new UnauthenticatedError(
      `the token is signed with a key that the API server of ${issuer} does not have: it is of another cluster`,
      { cause: error },
    )
  if (error instanceof errors.JOSEError)
    return new UnauthenticatedError(`the token's signature cannot be verified (${error.code})`, {
      cause: error,
    })
  return error as Error
}

function claimRefusal(error: errors.JWTClaimValidationFailed, issuer: string): UnauthenticatedError {
  const why: Record<string, string> = {
    iss: `another cluster issued the token: its issuer is not ${issuer}`,
    aud: `the token is not for the audience '${tokenAudience}'`,
    nbf: 'the token is not valid yet: compare the clocks of this machine and of the API server',
  }
  return new UnauthenticatedError(why[error.claim] ?? `the token's claim ${error.claim} is wrong`, {
    cause: error,
  })
}
