// Credentials from a URL that is asked before every sync, for instance a sidecar that knows a token of the cloud.
// Its answer has the form that git's own helpers have: lines `username=…` and `password=…`.
import { CredentialsError, messageOf } from '../../runtime/errors.ts'
import type { OutgoingEnvironment } from '../outgoing/proxy.ts'
import { request } from '../outgoing/request.ts'

/** As git-sync has it. Shorter: a busy sidecar fails syncs. Longer: one that hangs delays each sync as much. */
const timeoutMs = 1_000

/** As much of an answer that is an error is worth reading. */
const quotedLength = 200

export interface AskpassAnswer {
  username: string
  password: string
}

/**
 * Asks once.
 * @param ask.redact replaces secrets in what is quoted of an answer, before it is cut
 * @param ask.onSecrets told each password in the answer, whatever else is wrong with it, before any error says so
 * @throws CredentialsError where it cannot be reached within a second, answers with another status than 200
 * (a redirect is one), or with neither a user nor a password
 */
export async function askUrl(ask: {
  url: URL
  signal: AbortSignal
  environment: OutgoingEnvironment
  redact: (text: string) => string
  onSecrets: (answer: AskpassAnswer) => void
}): Promise<AskpassAnswer> {
  const { url, signal, environment, redact, onSecrets } = ask
  // Without user info and query, which are where secrets are in URLs.
  const name = `--askpass-url ${url.origin}${url.pathname}`
  const { status, body, isWhole } = await request({
    method: 'GET',
    url,
    // What comes back is secret, and meant for one server.
    redirectLimit: 0,
    environment,
    timeoutMs,
    signal,
  }).catch((error: unknown) => {
    throw new CredentialsError(
      `${name} did not answer: ${messageOf(error)}. Check that its server runs and is reachable from here`,
      { cause: error },
    )
  })
  const answer = parseAnswer(body)
  const { username = '', password = '' } = answer
  onSecrets({ username, password })
  if (status !== 200) {
    throw new CredentialsError(
      `${name} answered with status ${status}, not 200: ${JSON.stringify(quotable(redact(body)))}. Look up why in the log of its server; redirects are not followed`,
      { details: { status } },
    )
  }
  if (!isWhole) {
    throw new CredentialsError(
      `${name} answered with more than ${body.length} characters, of which a password may be cut. Look up why in the log of its server`,
      { details: { status } },
    )
  }
  if (answer.username === undefined && answer.password === undefined) {
    throw new CredentialsError(
      `${name} answered without credentials: there must be a line username=… and a line password=…`,
      { details: { status } },
    )
  }
  return { username, password }
}

/** Without anything from the first name of a secret on, for what follows need not be one that we were told. */
function quotable(body: string): string {
  return body.replace(/((?:passw(?:or)?d|token|secret)["']?\s*[=:]).*/is, '$1REDACTED').slice(0, quotedLength)
}

function parseAnswer(body: string): Partial<AskpassAnswer> {
  const answer: Partial<AskpassAnswer> = {}
  for (const line of body.split(/\r?\n/)) {
    const [, name, value] = /^(username|password)=(.*)$/s.exec(line) ?? []
    if (name === 'username' || name === 'password') answer[name] = value!.replaceAll('\0', '')
  }
  return answer
}
