// Webhook: a request that tells a URL of each commit. Of the URL nothing but its origin is told to anybody: user,
// password, query and path are secrets more often than not.
import { HookError, messageOf } from '../../runtime/errors.ts'
import type { CommitSha } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import type { OutgoingEnvironment } from '../outgoing/proxy.ts'
import { type Answer, request } from '../outgoing/request.ts'

/** What is told of an answer. More says nothing more in a log line. */
const toldBodyLength = 4 * 1024

/** As Go's client has it. */
const redirectLimit = 10

/**
 * The `run` of a hook.
 * @param deps.url http or https; user and password in it become Basic authorization
 * @param deps.successStatus the answer that is a success; 0 or less: any is
 * @param deps.timeoutMs for all of it: connection, redirects, answer
 * @param deps.environment proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY, or in lower case) and SSL_CERT_FILE
 * @param deps.redact replaces secrets in what the receiver answers, for it may repeat what it was sent
 * @returns sends it for a commit; throws HookError, and the signal's reason where that ended it
 */
export function createWebhook(deps: {
  url: URL
  method: string
  successStatus: number
  timeoutMs: number
  environment: OutgoingEnvironment
  redact: (text: string) => string
  log: Logger
}): (commit: CommitSha, signal: AbortSignal) => Promise<void> {
  const { url, method, successStatus, timeoutMs, environment, redact, log } = deps
  return async (commit, signal) => {
    const details = { hash: commit, url: url.origin, method }
    log.info({ ...details, timeout_ms: timeoutMs }, 'sending webhook')
    let answer: Answer
    try {
      const headers = { 'Gitsync-Hash': commit }
      answer = await request({ url, method, headers, redirectLimit, environment, timeoutMs, signal })
    } catch (error) {
      signal.throwIfAborted()
      throw new HookError(
        `webhook ${method} ${url.origin}: ${redact(messageOf(error))}. Check that its receiver runs, and is reachable from here`,
        { details, cause: error },
      )
    }
    const { status } = answer
    const body = redact(answer.body).trim().slice(0, toldBodyLength)
    if (successStatus > 0 && status !== successStatus) {
      throw new HookError(
        `webhook ${method} ${url.origin}: received response code ${status} expected ${successStatus}, body: ${JSON.stringify(body)}`,
        { details: { ...details, status } },
      )
    }
    log.info({ hash: commit, status, body }, 'webhook succeeded')
  }
}
