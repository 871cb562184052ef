// Where a server listens, in git-sync's form. Checked before anything is started (check-options.ts), and read again
// where it is used.
import { ConfigError } from '../../runtime/errors.ts'
import { parseGoInt } from '../options/go-values.ts'

/**
 * @param bind `:1234`, `127.0.0.1:1234` or `[::1]:1234`
 * @param flag the option that it came from, for the message: `--http-bind`
 * @returns without `host`: on all addresses
 * @throws ConfigError where it is none
 */
export function parseBindAddress(bind: string, flag: string): { port: number; host?: string } {
  const colon = bind.lastIndexOf(':')
  const port = parseGoInt(bind.slice(colon + 1))
  const host = bind.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1')
  if (colon < 0 || port === undefined || port < 0 || port > 65_535) {
    throw new ConfigError(`invalid flag: ${flag} must be :port or address:port, not ${JSON.stringify(bind)}`)
  }
  return host === '' ? { port } : { port, host }
}
