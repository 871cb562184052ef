// Webhook: a request that tells a URL of each commit. What it may not tell anybody is the URL's user, password and
// query, which are secrets more often than not.
import { ConfigError, HookError, messageOf } from '../../runtime/errors.ts'
import type { CommitSha } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import { maxTimerMs } from '../deadline.ts'
import type { ProxyEnvironment } from './proxy.ts'
import { type Answer, sendRequest, urlForLog } from './send-request.ts'

/**
 * The `run` of a hook.
 * @param deps.url http or https; user and password in it become Basic authorization
 * @param deps.successStatus the answer that is a success; 0 or less: any is
 * @param deps.timeoutMs for all of it: connection, redirects, answer
 * @param deps.environment proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY, or in lower case) and SSL_CERT_FILE
 * @returns sends it for a commit; throws HookError, ConfigError for a URL or proxy that cannot be, and the signal's
 * reason where that ended it
 */
export function createWebhook(deps: {
  url: string
  method: string
  successStatus: number
  timeoutMs: number
  environment: ProxyEnvironment
  log: Logger
}): (commit: CommitSha, signal: AbortSignal) => Promise<void> {
  const { method, successStatus, timeoutMs, environment, log } = deps
  return async (commit, signal) => {
    const url = parseUrl(deps.url)
    const shown = urlForLog(url)
    const details = { hash: commit, url: shown, method }
    log.info({ ...details, timeout_ms: timeoutMs }, 'sending webhook')
    const deadline = AbortSignal.timeout(Math.min(timeoutMs, maxTimerMs))
    let answer: Answer
    try {
      answer = await sendRequest({
        url,
        method,
        headers: { 'Gitsync-Hash': commit },
        environment,
        signal: AbortSignal.any([signal, deadline]),
      })
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof ConfigError) throw error
      const why = deadline.aborted ? `no answer within its timeout of ${timeoutMs} ms` : causeOf(error)
      throw new HookError(
        `webhook ${method} ${shown}: ${why}. Check that its receiver runs, and is reachable from here`,
        { details, cause: error },
      )
    }
    const { status, body } = answer
    if (successStatus > 0 && status !== successStatus) {
      throw new HookError(
        `webhook ${method} ${shown}: received response code ${status} expected ${successStatus}, body: ${JSON.stringify(body)}`,
        { details: { ...details, status } },
      )
    }
    log.info({ hash: commit, status, body }, 'webhook succeeded')
  }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url !== null && ['http:', 'https:'].includes(url.protocol)) return url
  // The text is not quoted: what cannot be parsed cannot be freed of its password.
  throw new ConfigError(
    'invalid flag: --webhook-url must be an http or https URL, such as http://localhost:8080/reload',
  )
}

/** Several addresses that all refused come as one error without words of its own. */
function causeOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join('; ') : messageOf(error)
}
