// The signal of --sync-on-signal, by name or number.
import { constants } from 'node:os'
import { ConfigError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import { parseGoInt } from './go-values.ts'

/**
 * The signal of `SIGHUP`, `HUP` or a number in Go's syntax.
 * @throws ConfigError for any other text, and for signals that no process can catch
 */
export function signalNamed(text: string): NodeJS.Signals {
  const number = parseGoInt(text)
  const names = Object.keys(constants.signals) as NodeJS.Signals[]
  const upper = text.toUpperCase()
  const name =
    number === undefined
      ? names.find((signal) => signal === upper || signal === `SIG${upper}`)
      : names.find((signal) => constants.signals[signal] === number)
  if (name === undefined || name === 'SIGKILL' || name === 'SIGSTOP') {
    const suggestion = name === undefined ? didYouMean(upper, names) : ' No process can catch that signal.'
    throw new ConfigError(
      `invalid flag: --sync-on-signal must be a valid signal name or number, not ${JSON.stringify(text)}.${suggestion}`,
    )
  }
  return name
}
