// Arguments in the syntax of GNU programs as pflag, git-sync's library, reads them: which flags were given, in
// their order, with the text of their values. What the text means is its type's matter (read-value.ts).
import { InvalidInputError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'

/** What the syntax has to know of a flag. */
export interface FlagSyntax {
  /** Without dashes. */
  flag: string
  shorts: readonly string[]
  /** Needs no value: `--flag` is `--flag=true`, and what comes after it is no value. */
  isBool: boolean
  /** Not to be suggested. */
  isHidden: boolean
}

export interface GivenFlag<Syntax> {
  known: Syntax
  text: string
}

/**
 * `--flag=text`, `--flag text`, `-f5`, `-f 5`, `-f=5`, booleans together (`-ab`); `--` ends flags. Everything else
 * is passed over, as git-sync does.
 * @throws InvalidInputError for a flag that is unknown or lacks its value
 */
export function readFlags<Syntax extends FlagSyntax>(
  argv: readonly string[],
  syntaxes: readonly Syntax[],
): GivenFlag<Syntax>[] {
  const byFlag = new Map(syntaxes.map((syntax) => [syntax.flag, syntax]))
  const byShort = new Map(syntaxes.flatMap((syntax) => syntax.shorts.map((short) => [short, syntax])))
  const suggest = (written: string): string =>
    didYouMean(
      written,
      syntaxes.filter(({ isHidden }) => !isHidden).map(({ flag }) => `--${flag}`),
    )
  const given: GivenFlag<Syntax>[] = []
  const rest = [...argv]

  function readLong(argument: string): void {
    if (/^--[-=]/.test(argument)) throw new InvalidInputError(`bad flag syntax: ${nameOf(argument)}`)
    const written = nameOf(argument)
    const known = byFlag.get(written.slice(2))
    if (known === undefined) throw new InvalidInputError(`unknown flag: ${written}.${suggest(written)}`)
    if (written.length < argument.length) given.push({ known, text: argument.slice(written.length + 1) })
    else if (known.isBool) given.push({ known, text: 'true' })
    else given.push({ known, text: takeNext(`flag needs an argument: ${written}`) })
  }

  function readShorts(argument: string): void {
    for (let letters = argument.slice(1); letters !== ''; ) {
      const short = letters[0]!
      const known = byShort.get(short)
      if (known === undefined) {
        throw new InvalidInputError(
          `unknown shorthand flag: '${short}' in -${nameOf(letters)}.${suggest(`-${nameOf(argument)}`)}`,
        )
      }
      const after = letters.slice(1)
      letters = ''
      if (after.length > 1 && after.startsWith('=')) given.push({ known, text: after.slice(1) })
      else if (known.isBool) {
        given.push({ known, text: 'true' })
        letters = after
      } else if (after !== '') given.push({ known, text: after })
      else given.push({ known, text: takeNext(`flag needs an argument: '${short}' in ${argument}`) })
    }
  }

  function takeNext(otherwise: string): string {
    const next = rest.shift()
    if (next === undefined) throw new InvalidInputError(otherwise)
    return next
  }

  for (let argument = rest.shift(); argument !== undefined && argument !== '--'; argument = rest.shift()) {
    if (argument.startsWith('--')) readLong(argument)
    else if (argument.startsWith('-') && argument.length > 1) readShorts(argument)
  }
  return given
}

/** Up to the equals sign: the value behind it may be a secret. */
function nameOf(argument: string): string {
  const equals = argument.indexOf('=')
  return equals < 0 ? argument : argument.slice(0, equals)
}
