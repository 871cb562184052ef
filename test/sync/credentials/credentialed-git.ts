// git as sync runs it, with credentials and nothing else of the program around: configuration and environment as
// they come from createCredentials.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { systemClock } from '../../../runtime/clock.ts'
import { createLogger } from '../../../runtime/log.ts'
import {
  type Credentials,
  type CredentialsDeps,
  type CredentialsOptions,
  createCredentials,
} from '../../../sync/credentials/credentials.ts'
import { createRedactor } from '../../../sync/credentials/redact.ts'
import { writeGitConfig } from '../../../sync/git/git-config-file.ts'
import { gitEnvironment } from '../../../sync/git/git-environment.ts'

export const noSignal = new AbortController().signal

/** Credentials with every option but `repo` left out, unless it is given. */
export function credentialsFor(
  options: Partial<CredentialsOptions> & { repo: string },
  deps: Partial<CredentialsDeps> = {},
): Promise<Credentials> {
  return createCredentials(
    {
      ...{ username: '', password: '', passwordFile: '', credential: [], askpassUrl: '' },
      ...{ cookieFile: false, githubApp: undefined },
      ...options,
    },
    {
      clock: systemClock,
      log: createLogger('sync', { level: 'silent' }),
      redactor: createRedactor(),
      environment: {},
      onAskpass: () => {},
      onGithubToken: () => {},
      ...deps,
    },
  )
}

export interface GitRun {
  exitCode: number | null
  stdout: string
  /** Both streams, secrets not replaced. */
  output: string
}

export interface CredentialedGit {
  /** Where its configuration is. */
  configPath: string
  run(args: readonly string[], options?: { stdin?: string; env?: NodeJS.ProcessEnv }): Promise<GitRun>
  /** What `git credential fill` answers for the URL: `user:password`, or undefined. */
  fill(url: string): Promise<string | undefined>
}

/** @param folder the working directory, where the configuration is written too */
export async function credentialedGit(credentials: Credentials, folder: string): Promise<CredentialedGit> {
  const configPath = join(folder, 'gitconfig')
  await writeGitConfig(configPath, credentials.gitConfig)
  const base = gitEnvironment({
    base: { PATH: process.env.PATH },
    withheld: [],
    root: folder,
    gitConfigPath: configPath,
    ssh: { keyFiles: [], knownHosts: true, knownHostsFile: join(folder, 'none'), verbosity: 0 },
  })
  const run: CredentialedGit['run'] = async (args, { stdin = '', env = {} } = {}) => {
    const variables = await credentials.environment(noSignal)
    const child = spawn('git', args, { cwd: folder, env: { ...base, ...variables, ...env } })
    let [stdout, output] = ['', '']
    child.stdout.on('data', (chunk) => {
      stdout += chunk
      output += chunk
    })
    child.stderr.on('data', (chunk) => {
      output += chunk
    })
    child.stdin.end(stdin)
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return { exitCode, stdout, output }
  }
  return {
    configPath,
    run,
    fill: async (url) => {
      const { stdout } = await run(['credential', 'fill'], { stdin: `url=${url}\n\n` })
      const [, username = ''] = /^username=(.*)$/m.exec(stdout) ?? []
      const [, password = ''] = /^password=(.*)$/m.exec(stdout) ?? []
      // What askPass says where no helper has an answer is empty.
      return password === '' ? undefined : `${username}:${password}`
    },
  }
}
