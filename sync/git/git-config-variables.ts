// The operator's `--git-config`, handed to git in its environment: values may be secrets (http.extraHeader), and a file
// below the root would lie on a volume that others read. git reads these variables after all files, so they have the
// last word, and hands them on to the processes that it starts, those of submodules too.
import { ConfigError } from '../../runtime/errors.ts'
import { type GitConfigEntry, nameOfKey } from '../options/git-config-text.ts'

/** What git allows in a key (git-config(1)); a subsection may be anything on one line. */
const keyPattern = /^([A-Za-z0-9-]+)((?:\.[^\n\0]*)?)\.([A-Za-z][A-Za-z0-9-]*)$/

/**
 * Variables that add to those of the environment; of a key that is given twice the last value counts, as
 * `git config` has it.
 * @param environment may have such variables too, which stay
 * @throws ConfigError for a key or value that git would not take
 */
export function gitConfigVariables(
  entries: readonly GitConfigEntry[],
  environment: NodeJS.ProcessEnv,
): Record<string, string> {
  const last = new Map(entries.map((entry, index) => [checkedKey(entry, index), entry.value]))
  if (last.size === 0) return {}
  const first = Number.parseInt(environment.GIT_CONFIG_COUNT ?? '0', 10) || 0
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(first + last.size) }
  for (const [index, [key, value]] of [...last].entries()) {
    variables[`GIT_CONFIG_KEY_${first + index}`] = key
    variables[`GIT_CONFIG_VALUE_${first + index}`] = value
  }
  return variables
}

/** Whether such variables of the environment set the key, written in any case of letters. */
export function hasConfigVariable(environment: NodeJS.ProcessEnv, key: string): boolean {
  const count = Number.parseInt(environment.GIT_CONFIG_COUNT ?? '0', 10) || 0
  return Array.from({ length: count }, (_, index) => environment[`GIT_CONFIG_KEY_${index}`]).some(
    (name) => name?.toLowerCase() === key.toLowerCase(),
  )
}

/** The key as git compares it: the case of section and name is of no matter. */
function checkedKey({ key, value }: GitConfigEntry, index: number): string {
  const [, section, subsection, name] = keyPattern.exec(key) ?? []
  if (section === undefined || subsection === undefined || name === undefined) {
    throw new ConfigError(
      `invalid flag: --git-config has ${nameOfKey(key, index)} as a key: a key is section.name or section.subsection.name, of letters, digits and dashes, for instance http.postBuffer`,
    )
  }
  if (value.includes('\0')) {
    throw new ConfigError(
      `invalid flag: --git-config has a NUL in the value of ${nameOfKey(key, index)}, which git cannot take`,
    )
  }
  return `${section.toLowerCase()}${subsection}.${name.toLowerCase()}`
}
