// The configuration that git reads in place of the user's and the system's: ours, then what the credentials need,
// then the operator's `--git-config`, which so has the last word. Written by us and not by `git config`, which
// would cost a process for each key.
import { rename, writeFile } from 'node:fs/promises'
import { ConfigError } from '../../runtime/errors.ts'

export interface GitConfigEntry {
  /** `section.name` or `section.subsection.name`. */
  key: string
  value: string
}

const ownConfig = `# Written by branchline sync at every start.
[core]
	# Answers every question with nothing: git says 'Authentication failed' and does not wait for a person.
	askPass = true
	hooksPath = /dev/null
	logAllRefUpdates = false
[init]
	templateDir =
[safe]
	# Volumes often belong to another user than the one who syncs into them.
	directory = *
[fetch]
	# Each fetch is kept as one pack: faster than loose files, and its size is what came over the wire.
	unpackLimit = 1
[gc]
	autoDetach = false
	pruneExpire = now
[maintenance]
	auto = false
[advice]
	detachedHead = false
`

/**
 * @param credentialConfig sections that make git ask for credentials
 * @throws ConfigError for a key that git would not take
 */
export async function writeGitConfig(
  path: string,
  credentialConfig: string,
  entries: readonly GitConfigEntry[] = [],
): Promise<void> {
  // Of a key that is given twice the last counts, as `git config` has it.
  const last = new Map(entries.map((entry) => [entry.key, entry]))
  const text = [ownConfig, credentialConfig, ...[...last.values()].map(formatEntry)].join('')
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

/** A value as git's configuration files have it, quoted. */
export function quoteConfigValue(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  return `"${escaped}"`
}

/** What git allows in a key (git-config(1)); a subsection may be anything on one line. */
const keyPattern = /^([A-Za-z0-9-]+)(?:\.([^\n\0]*))?\.([A-Za-z][A-Za-z0-9-]*)$/

function formatEntry({ key, value }: GitConfigEntry): string {
  const match = keyPattern.exec(key)
  if (match === null) {
    throw new ConfigError(
      `invalid flag: --git-config has ${JSON.stringify(key)} as a key: a key is section.name or section.subsection.name, of letters, digits and dashes, for instance http.postBuffer`,
    )
  }
  const [, section, subsection, name] = match
  const head = subsection === undefined ? `[${section}]` : `[${section} ${quoteSubsection(subsection)}]`
  return `${head}\n\t${name} = ${quoteConfigValue(value)}\n`
}

function quoteSubsection(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
