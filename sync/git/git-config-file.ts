// The configuration that git reads in place of the user's and the system's: ours, then what the credentials need.
// The operator's own is not in it: whoever shares the volume may read this file (git-config-variables.ts). Written by
// us and not by `git config`, which would cost a process for each key.
import { rename, writeFile } from 'node:fs/promises'

const ownConfig = `# Written by branchline sync at every start.
[core]
	# Answers every question with nothing: git says 'Authentication failed' and does not wait for a person.
	askPass = true
	logAllRefUpdates = false
	# A graph of commits outlives a cut of the history, and fsck then calls the repository damaged.
	commitGraph = false
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
	writeCommitGraph = false
[maintenance]
	auto = false
[advice]
	detachedHead = false
`

/** @param credentialConfig sections that make git ask for credentials */
export async function writeGitConfig(path: string, credentialConfig: string): Promise<void> {
  await writeFile(`${path}.new`, ownConfig + credentialConfig)
  await rename(`${path}.new`, path)
}

/** A value as git's configuration files have it, quoted. */
export function quoteConfigValue(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  return `"${escaped}"`
}
