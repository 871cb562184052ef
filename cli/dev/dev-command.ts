// `branchline dev`.
import { Command, Option } from 'commander'
import { loadConfig } from '../../runtime/config.ts'
import { type ConfigKey, configKeys, configTable } from '../../runtime/config-table.ts'
import { InvalidInputError } from '../../runtime/errors.ts'
import { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import { readSource } from './dev-source.ts'

interface Options {
  repo?: string
  ref?: string
  demo?: boolean
  period?: string
  verbose?: boolean
  config?: string
  [setting: string]: unknown
}

/** `dev` decides these itself. */
const ownKeys: readonly ConfigKey[] = ['source_path', 'api_url']
const settingKeys = configKeys.filter((key) => !ownKeys.includes(key))

/**
 * A second signal within this time is the same ctrl-C: npm passes on to its script what the terminal has sent to both
 * of them.
 */
const sameSignalMs = 500

export function devCommand(terminal: Terminal): Command {
  const command = new Command('dev')
    .description(
      'Everything on this machine: Postgres, sync, scheduler and API, following a repository or a directory',
    )
    .argument('[directory]', 'plain directory with Dag modules (default: this one)')
    .option('--repo <url>', 'follow this Git repository: a URL or a path')
    .option('--ref <branch>', "branch, tag or commit to follow (default: the repository's own branch)")
    .option(
      '--period <duration>',
      'how often to look for new commits (default: 1s on this machine, 5s elsewhere)',
    )
    .option('--demo', 'follow a demonstration repository, made on the first start')
    .option('--verbose', 'print every line of every program')
    .option('--config <path>', 'configuration file')
    .optionsGroup('Settings (docs/reference/config.md):')
  for (const key of settingKeys) command.addOption(settingOption(key))
  return command.action(async (directory: string | undefined, options: Options) => {
    const { repo, ref, demo, period } = options
    if (demo && (repo ?? ref ?? directory) !== undefined) {
      throw new InvalidInputError(
        '--demo follows its own repository: leave out --repo, --ref and the directory',
      )
    }
    const flags = Object.fromEntries(settingKeys.map((key) => [key, options[camelCase(key)]]))
    const config = loadConfig({ env: process.env, flags: { ...flags, config: options.config } })
    if (options.config !== undefined) process.env.BRANCHLINE_CONFIG = options.config
    const cwd = process.cwd()
    const source = demo
      ? undefined
      : readSource({ repo, ref, directory }, cwd, config.values.source_path ?? cwd)
    const { runDev } = await import('./dev.ts')
    await runDev({
      config,
      source,
      period,
      verbose: options.verbose === true,
      terminal,
      env: process.env,
      cwd,
      script: process.argv[1] ?? '',
      signal: endingSignal(),
    })
  })
}

function settingOption(key: ConfigKey): Option {
  const { type, description, defaultText } = configTable[key]
  const flag = `--${key.replaceAll('_', '-')}`
  const summary = `${description.split('. ')[0]!.replace(/\.$/, '')} (default: ${defaultText})`
  const option = new Option(type === 'true or false' ? `${flag} [boolean]` : `${flag} <value>`, summary)
  return type === 'true or false' ? option.preset('true') : option
}

function camelCase(key: string): string {
  return key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** Fires at the first signal that asks to end; the second ends the process, and with it everything that it started. */
function endingSignal(): AbortSignal {
  const ending = new AbortController()
  let firstAt = 0
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!ending.signal.aborted) firstAt = performance.now()
      else if (performance.now() - firstAt > sameSignalMs) process.exit(ExitCode.interrupted)
      ending.abort()
    })
  }
  return ending.signal
}
