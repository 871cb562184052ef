// The shape of a row of the table of options, and of what its types make of text. The rows themselves are in rows/.
import type { CredentialEntry } from './credential-text.ts'
import type { GitConfigEntry } from './git-config-text.ts'

/**
 * How the text of a value is read. `strings`: separated by colons in a variable, repeated as a flag. `optional-int`:
 * an int that may be absent. `credential`: JSON. `git-config`: pairs of key and value.
 */
export type OptionType =
  | 'string'
  | 'strings'
  | 'int'
  | 'optional-int'
  | 'float'
  | 'bool'
  | 'duration'
  | 'credential'
  | 'git-config'

/** Headings of help, manual and reference page, in their order there. */
export const optionGroups = [
  'Repository',
  'Files and directories',
  'Time and failures',
  'Hooks',
  'Push notifications',
  'Passwords and tokens',
  'SSH',
  'git',
  'HTTP endpoint',
  'Program',
] as const

export type OptionGroup = (typeof optionGroups)[number]

export interface OptionRow {
  group: OptionGroup
  /** Without its dashes; absent: the option exists only in the environment. */
  flag?: string
  /** One letter. */
  short?: string
  /** Absent: the option exists only as a flag. */
  env?: string
  /** Older names of the variable, which still win over it; among them the last one that is set. */
  oldEnv?: readonly string[]
  type: OptionType
  /** Durations in milliseconds; `git-config` as text. */
  default: string | readonly string[] | readonly CredentialEntry[] | number | boolean | undefined
  /** All values that there are, of a string. */
  choices?: readonly string[]
  /** The flag may be given several times, and each counts. */
  repeats?: true
  /** Never printed; its values are not quoted in errors either. */
  secret?: true
  /** git-sync has no such option. */
  ours?: true
  /** What it does, in a sentence without a capital and a full stop. */
  help: string
  /** What the manual says beyond that: paragraphs, and lines that begin with spaces, which stay as they are. */
  more?: string
}

/** A flag that git-sync had once. Its value, where it says anything, wins over that of its successor. */
export interface DeprecatedRow {
  flag: string
  /** Its variable, which has no newer name. */
  env?: string
  type: 'string' | 'int' | 'float' | 'bool'
  /** The value that says nothing. */
  default: string | number | boolean
  /** `use --ref instead`: what is printed behind `has been deprecated, `. */
  advice: string
  secret?: true
  help: string
}

/** What a value of each type is when it has been read. */
export interface ValueOf {
  string: string
  strings: readonly string[]
  int: number
  'optional-int': number | undefined
  float: number
  bool: boolean
  /** Milliseconds. */
  duration: number
  credential: readonly CredentialEntry[]
  'git-config': readonly GitConfigEntry[]
}

/** The options of a set of rows; one with choices has one of them (when it has been checked). */
export type ValuesOf<Rows extends Record<string, { type: OptionType; choices?: readonly string[] }>> = {
  readonly [Name in keyof Rows]: Rows[Name] extends { choices: readonly (infer Choice)[] }
    ? Choice
    : ValueOf[Rows[Name]['type']]
}
