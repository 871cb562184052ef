// The surroundings in which git runs: a configuration of our own in place of the user's and the system's, so
// that a sync does the same wherever it runs; no prompts; English messages, which the remedies are looked up by;
// and SSH with the keys and known hosts of the options.
import { writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { rootMark } from './processes.ts'

/** Variables that would point git at another repository than ours, or at programs that wait for a person. */
const removedVariables = [
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_COMMON_DIR',
  'GIT_NAMESPACE',
  'GIT_PREFIX',
  'GIT_CONFIG',
  'GIT_CONFIG_SYSTEM',
  'GIT_CONFIG_PARAMETERS',
  'GIT_EDITOR',
  'GIT_PAGER',
  'GIT_SEQUENCE_EDITOR',
  'GIT_EXTERNAL_DIFF',
  'GIT_TEMPLATE_DIR',
  'EDITOR',
  'VISUAL',
  'PAGER',
  'PREFIX',
  'SSH_ASKPASS',
  'GITSYNC_PASSWORD',
]

export interface SshOptions {
  keyFiles: readonly string[]
  /** False: any server's key is taken. */
  knownHosts: boolean
  knownHostsFile: string
}

/** Writes the configuration that git reads in place of the user's. */
export async function writeGitConfig(path: string, credentialConfig: string): Promise<void> {
  const text = `# Written by branchline sync at every start.
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
[gc]
	autoDetach = false
	pruneExpire = now
[maintenance]
	auto = false
[advice]
	detachedHead = false
${credentialConfig}`
  await writeFile(path, text)
}

/** The environment of every git process. @param base what this program was started with */
export function gitEnvironment(options: {
  base: NodeJS.ProcessEnv
  root: string
  gitConfigPath: string
  ssh: SshOptions
}): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(options.base)) {
    if (value !== undefined && !removedVariables.includes(name)) environment[name] = value
  }
  return {
    ...environment,
    LC_ALL: 'C',
    GIT_CONFIG_GLOBAL: options.gitConfigPath,
    GIT_CONFIG_NOSYSTEM: 'true',
    GIT_TERMINAL_PROMPT: '0',
    // A damaged repository must not make git find another one above it, and write there.
    GIT_CEILING_DIRECTORIES: dirname(options.root),
    GIT_DEFAULT_REF_FORMAT: 'files',
    GIT_SSH_COMMAND: sshCommand(environment.GIT_SSH_COMMAND ?? 'ssh', options.ssh),
    [rootMark]: options.root,
  }
}

function sshCommand(ssh: string, options: SshOptions): string {
  const keys = options.keyFiles.map((path) => `-i ${shellQuote(path)}`)
  const hosts = options.knownHosts
    ? ['-o StrictHostKeyChecking=yes', `-o UserKnownHostsFile=${shellQuote(options.knownHostsFile)}`]
    : // The file is where ssh would note the keys that it takes; nobody is to rely on those.
      ['-o StrictHostKeyChecking=no', '-o UserKnownHostsFile=/dev/null']
  return [ssh, ...keys, ...hosts, '-o BatchMode=yes'].join(' ')
}

function shellQuote(text: string): string {
  return /^[A-Za-z0-9_./:@%+=~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
