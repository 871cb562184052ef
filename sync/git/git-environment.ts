// The surroundings in which git runs: a configuration of our own (git-config-file.ts) in place of the user's and
// the system's, so that a sync does the same wherever it runs; no prompts; English messages, which the remedies
// are looked up by; no hooks of the volume's; and SSH with the keys and known hosts of the options.
import { dirname } from 'node:path'
import { definedVariables } from '../../runtime/environment.ts'
import { gitConfigVariables, hasConfigVariable } from './git-config-variables.ts'
import { rootMark, rootMarkOf, runMark } from './processes.ts'
import { shellQuote } from './shell-quote.ts'

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
  'GIT_DEFAULT_HASH',
  'GIT_QUARANTINE_PATH',
  'EDITOR',
  'VISUAL',
  'PAGER',
  'PREFIX',
]

export interface SshOptions {
  keyFiles: readonly string[]
  /** False: any server's key is taken. */
  knownHosts: boolean
  knownHostsFile: string
  /** As many `v`s as ssh is to get; 0 to 3. */
  verbosity: number
}

/**
 * The environment of every git process.
 * @param options.base what this program was started with
 * @param options.withheld variables that git is not to see
 */
export function gitEnvironment(options: {
  base: NodeJS.ProcessEnv
  withheld: readonly string[]
  root: string
  gitConfigPath: string
  ssh: SshOptions
}): Record<string, string> {
  const environment = definedVariables(options.base)
  for (const name of [...removedVariables, ...options.withheld]) delete environment[name]
  // Of ours alone, in no file: an operator's program may want to install hooks with git, and there it would fail.
  const hooks = hasConfigVariable(environment, 'core.hooksPath')
    ? []
    : [{ key: 'core.hooksPath', value: '/dev/null' }]
  return {
    ...hookEnvironment({ ...options, base: environment }),
    ...gitConfigVariables(hooks, environment),
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    // A damaged repository must not make git find another one above it, and write there.
    GIT_CEILING_DIRECTORIES: dirname(options.root),
    GIT_DEFAULT_REF_FORMAT: 'files',
    [rootMark]: rootMarkOf(options.root),
  }
}

/** The environment of the operator's own programs: as it is, and so that a git which they run does as ours. */
export function hookEnvironment(options: {
  base: NodeJS.ProcessEnv
  gitConfigPath: string
  ssh: SshOptions
}): Record<string, string> {
  const environment = definedVariables(options.base)
  // By these git's processes are found and ended; a hook is none of them.
  for (const mark of [rootMark, runMark]) delete environment[mark]
  return {
    ...environment,
    GIT_CONFIG_GLOBAL: options.gitConfigPath,
    GIT_CONFIG_NOSYSTEM: 'true',
    GIT_SSH_COMMAND: sshCommand(options.base, options.ssh),
  }
}

function sshCommand(base: NodeJS.ProcessEnv, options: SshOptions): string {
  const keys = options.keyFiles.map((path) => `-i ${shellQuote(path)}`)
  const hosts = options.knownHosts
    ? ['-o StrictHostKeyChecking=yes', `-o UserKnownHostsFile=${shellQuote(options.knownHostsFile)}`]
    : // The file is where ssh would note the keys that it takes; nobody is to rely on those.
      ['-o StrictHostKeyChecking=no', '-o UserKnownHostsFile=/dev/null']
  const verbose = options.verbosity > 0 ? [`-${'v'.repeat(options.verbosity)}`] : []
  // A program that answers for the operator may be asked for the passphrase of a key; a person never is.
  const unattended = base.SSH_ASKPASS ? [] : ['-o BatchMode=yes']
  return [base.GIT_SSH_COMMAND || 'ssh', ...verbose, ...keys, ...hosts, ...unattended].join(' ')
}
