// Tokens of a GitHub App's installation: a signed statement of who we are (a JWT by the app's private key) is
// exchanged for a token that git uses as a password, and that is good for an hour.
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Clock } from '../../runtime/clock.ts'
import { ConfigError, CredentialsError, messageOf } from '../../runtime/errors.ts'
import type { CallStatus } from '../http/sync-metrics.ts'
import type { OutgoingEnvironment } from '../outgoing/proxy.ts'
import { request } from '../outgoing/request.ts'

/** A token is renewed so long before it expires. Shorter: a slow fetch loses it midway. Longer: more requests. */
const renewalMarginMs = 30_000

/** The longest that GitHub lets a statement be good for. */
const statementSeconds = 600

export interface GithubAppOptions {
  /** `https://api.github.com/` or `https://<host>/api/v3`, with or without a slash at the end. */
  baseUrl: string
  /** As PEM; or: */
  privateKey: string
  privateKeyFile: string
  /** One of the two; 0 and empty are none. */
  applicationId: number
  clientId: string
  installationId: number
}

export interface GithubApp {
  /**
   * Reads the key, so that a start with a wrong one ends at once.
   * @throws ConfigError where the file cannot be read, or holds no RSA key
   */
  check(): Promise<void>
  /**
   * A token that is good for 30 s at least; the same one until then.
   * @throws ConfigError as `check`, which is done again at each renewal
   * @throws CredentialsError where GitHub cannot be reached or refuses
   */
  token(signal: AbortSignal): Promise<string>
}

/**
 * @param deps.onSecret told each key, statement and token before it is used
 * @param deps.onRenewal told of each request's end
 */
export function createGithubApp(
  options: GithubAppOptions,
  deps: {
    clock: Clock
    environment: OutgoingEnvironment
    onSecret: (kind: 'key' | 'statement' | 'token', secret: string) => void
    onRenewal: (status: CallStatus) => void
  },
): GithubApp {
  const { clock, environment, onSecret, onRenewal } = deps
  const url = new URL(
    `${options.baseUrl.replace(/\/+$/, '')}/app/installations/${options.installationId}/access_tokens`,
  )
  let current: { token: string; expiresAt: number } | undefined

  async function renew(signal: AbortSignal): Promise<{ token: string; expiresAt: number }> {
    const issuer = options.clientId === '' ? String(options.applicationId) : options.clientId
    const statement = await sign(await readKey(options, onSecret), issuer, clock.now())
    onSecret('statement', statement)
    const headers = { accept: 'application/vnd.github+json', authorization: `Bearer ${statement}` }
    const { status, body } = await request({
      method: 'POST',
      url,
      headers,
      // What is sent and comes back is secret, and meant for one server.
      redirectLimit: 0,
      environment,
      signal,
    }).catch((error: unknown) => {
      throw new CredentialsError(
        `GitHub did not answer at ${url.origin}${url.pathname}: ${messageOf(error)}. Check --github-base-url, and that it is reachable from here`,
        { cause: error },
      )
    })
    const { token } = parseObject(body)
    // Whatever the status says: a proxy between us may have changed it.
    if (typeof token === 'string') onSecret('token', token)
    if (status !== 201) {
      throw new CredentialsError(
        `GitHub gave no token for installation ${options.installationId} of app ${issuer}: status ${status}, ${githubsMessage(body)}. ${remedyFor(status)}`,
        { details: { status } },
      )
    }
    const answer = parseToken(body)
    if (answer === undefined) {
      throw new CredentialsError(
        `${url.origin}${url.pathname} answered with status 201, but not with token and expires_at. Check --github-base-url: it must be that of GitHub's REST API`,
        { details: { status } },
      )
    }
    return answer
  }

  return {
    check: async () => {
      await readKey(options, onSecret)
    },
    token: async (signal) => {
      if (current !== undefined && current.expiresAt >= clock.now() + renewalMarginMs) return current.token
      try {
        current = await renew(signal)
      } catch (error) {
        onRenewal('error')
        throw error
      }
      onRenewal('success')
      return current.token
    },
  }
}

async function readKey(
  { privateKey, privateKeyFile }: GithubAppOptions,
  onSecret: (kind: 'key', secret: string) => void,
): Promise<KeyObject> {
  const source =
    privateKey === '' ? `--github-app-private-key-file ${privateKeyFile}` : '$GITSYNC_GITHUB_APP_PRIVATE_KEY'
  const pem =
    privateKey !== ''
      ? privateKey
      : await readFile(privateKeyFile, 'utf8').catch((error: unknown) => {
          throw new ConfigError(
            `invalid flag: ${source} cannot be read: ${messageOf(error)}. Make the file, or give sync the right to read it`,
            { details: { path: privateKeyFile }, cause: error },
          )
        })
  onSecret('key', pem)
  let key: KeyObject | undefined
  try {
    key = createPrivateKey(pem)
  } catch {
    // Said below; the reason is OpenSSL's and helps nobody.
  }
  if (key?.asymmetricKeyType !== 'rsa') {
    throw new ConfigError(
      `invalid flag: ${source} must hold an RSA private key as PEM ("-----BEGIN RSA PRIVATE KEY-----" and so on), as GitHub hands it out when a key is generated in the app's settings`,
    )
  }
  return key
}

async function sign(key: KeyObject, issuer: string, now: number): Promise<string> {
  // Loaded for those who need it: 7 MB of memory and 10 ms.
  const { SignJWT } = await import('jose/jwt/sign')
  const issuedAt = Math.floor(now / 1_000)
  return new SignJWT()
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
    .setIssuer(issuer)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + statementSeconds)
    .sign(key)
}

function parseToken(body: string): { token: string; expiresAt: number } | undefined {
  const { token, expires_at } = parseObject(body)
  const expiresAt = Date.parse(String(expires_at))
  return typeof token === 'string' && token !== '' && Number.isFinite(expiresAt)
    ? { token, expiresAt }
    : undefined
}

/** What else is in an answer is not told: it may be a token. */
function githubsMessage(body: string): string {
  const { message } = parseObject(body)
  return typeof message === 'string' ? JSON.stringify(message) : 'without a message'
}

function remedyFor(status: number): string {
  if (status === 401) {
    return 'Check that the private key belongs to the app of --github-app-application-id or --github-app-client-id, and that the clock of this machine is right'
  }
  if (status === 404) {
    return "Check --github-app-installation-id: it is the number at the end of the URL of the installation's page"
  }
  return 'Sync tries again'
}

function parseObject(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
