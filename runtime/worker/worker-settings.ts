// What `branchline task` is told by the environment of its container. Everything else comes from the server.
import { ConfigError } from '../errors.ts'
import { workerVariables } from '../execution-api.ts'

export interface WorkerSettings {
  executionApiUrl: URL
  tokenFile: string
  dagsPath: string
  spoolPath: string
}

/** The same for `branchline xcom-sidecar`. @throws ConfigError that names the variable */
export function readSidecarSettings(
  env: Readonly<Record<string, string | undefined>>,
): Pick<WorkerSettings, 'executionApiUrl' | 'tokenFile'> & { xcomPath: string } {
  return {
    executionApiUrl: readUrl(env),
    tokenFile: required(env, workerVariables.tokenFile),
    xcomPath: required(env, workerVariables.xcomPath),
  }
}

/** @throws ConfigError that names the variable */
export function readWorkerSettings(env: Readonly<Record<string, string | undefined>>): WorkerSettings {
  return {
    executionApiUrl: readUrl(env),
    tokenFile: required(env, workerVariables.tokenFile),
    dagsPath: required(env, workerVariables.dagsPath),
    spoolPath: required(env, workerVariables.spoolPath),
  }
}

/** The environment that a task sees: without what only `branchline task` itself is told. */
export function taskEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const withheld: readonly string[] = Object.values(workerVariables)
  return Object.fromEntries(Object.entries(env).filter(([name]) => !withheld.includes(name)))
}

function required(env: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = env[name]
  if (value) return value
  throw new ConfigError(
    `${name} is not set: this program runs in a container of a pod that a scheduler made, and is not to be started by hand`,
    { details: { variable: name } },
  )
}

function readUrl(env: Readonly<Record<string, string | undefined>>): URL {
  const name = workerVariables.executionApiUrl
  const text = required(env, name)
  const url = URL.parse(text)
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new ConfigError(`${name} is '${text}', which is no URL with http or https (execution_api_url)`, {
    details: { variable: name },
  })
}
