// The one table of options: flag, environment variables old and new, type, default, meaning. Parser, help, manual
// and the reference page are made from it, so that an option that is here works and one that is not does not exist.
// Names, types and defaults are git-sync's; rows that are marked `ours` are not, and are kept few.
import type { DeprecatedRow, OptionRow, ValuesOf } from './option-row.ts'
import { credentialOptions } from './rows/credential-options.ts'
import { deprecatedOptions } from './rows/deprecated-options.ts'
import { fileOptions } from './rows/file-options.ts'
import { gitOptions } from './rows/git-options.ts'
import { hookOptions } from './rows/hook-options.ts'
import { httpOptions } from './rows/http-options.ts'
import { programOptions } from './rows/program-options.ts'
import { pushOptions } from './rows/push-options.ts'
import { repositoryOptions } from './rows/repository-options.ts'
import { sshOptions } from './rows/ssh-options.ts'
import { timeOptions } from './rows/time-options.ts'

const optionTable = {
  ...repositoryOptions,
  ...fileOptions,
  ...timeOptions,
  ...hookOptions,
  ...pushOptions,
  ...credentialOptions,
  ...sshOptions,
  ...gitOptions,
  ...httpOptions,
  ...programOptions,
}

export type OptionName = keyof typeof optionTable

export type DeprecatedOptions = ValuesOf<typeof deprecatedOptions>

/**
 * Every option's value; durations in milliseconds. Deprecated flags are already in the options that they set:
 * --branch and --rev in `ref`, --dest in `link`, --wait in `period` and so on.
 */
export type SyncOptions = ValuesOf<typeof optionTable> & {
  /** What only checkOptions needs: text as it was given, which the values above show no longer. */
  readonly given: {
    readonly branch: string
    readonly rev: string
    readonly changePermissions: number
    readonly gitConfig: string
    readonly gitConfigAdd: string
    /** Variables that look like ours and that no option reads. */
    readonly unknownVariables: readonly string[]
  }
}

/** The rows of the table with their names, in the order of the table. */
export const optionRows: readonly (readonly [OptionName, OptionRow])[] = Object.entries(optionTable) as [
  OptionName,
  OptionRow,
][]

/** Flags that were git-sync's once, with the names of their values. */
export const deprecatedRows: readonly (readonly [keyof DeprecatedOptions, DeprecatedRow])[] = Object.entries(
  deprecatedOptions,
) as [keyof DeprecatedOptions, DeprecatedRow][]

/** Flags that ask for a text instead of a sync; --version wins over --help, and that over --man. */
export const requestRows = [
  { request: 'version', flag: 'version', shorts: [], help: 'print the version and exit' },
  { request: 'help', flag: 'help', shorts: ['h', '?'], help: 'print all options and exit' },
  { request: 'man', flag: 'man', shorts: [], help: 'print the manual and exit' },
] as const

/**
 * Options that are read from the environment only, as git-sync's tests know them: `--__env__GITSYNC_PASSWORD=x`.
 * Hidden: arguments can be read by every process of the machine.
 */
export const hiddenFlagPrefix = '__env__'

/** Variables, of old names too, that may hold a password or a key: nothing but the options is to read them. */
export const secretVariables: readonly string[] = optionRows.flatMap(([, row]) =>
  row.secret ? [row.env, ...(row.oldEnv ?? [])].filter((name) => name !== undefined) : [],
)
