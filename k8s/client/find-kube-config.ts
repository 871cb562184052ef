// Which API server is meant, and as whom: a kubeconfig file, those of KUBECONFIG, ~/.kube/config, or the service
// account that a pod is given. Files are read and checked here, by ourselves, because the library's reader takes a
// text that is no kubeconfig for an empty one, passes over `tokenFile`, refuses names that stand in two files, and says
// nothing of the file in its errors. What comes out is one kubeconfig with one context and absolute paths.
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import { parseYaml } from '../yaml.ts'

/** The files that Kubernetes puts into a pod. */
const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'

export interface KubeConfigChoice {
  /** True: the pod's service account. False: a file. Null: as `findKubeConfig` says. */
  inCluster: boolean | null
  /** A kubeconfig file; null for those of KUBECONFIG or ~/.kube/config. */
  configFile: string | null
  /** A context of the file; null for its current one. */
  context: string | null
  /** KUBECONFIG, HOME and the KUBERNETES_SERVICE_ variables are read. */
  environment: NodeJS.ProcessEnv
  /** Where the service account's files are, instead of `serviceAccountDirectory`. */
  serviceAccount?: string
}

/** One cluster, one user, one context. The entries are as a kubeconfig has them, with absolute paths. */
export interface FoundKubeConfig {
  /** The file, or several, by commas; null inside a cluster. */
  configFile: string | null
  /** The context's name; null inside a cluster. */
  context: string | null
  server: string
  namespace: string
  cluster: Record<string, unknown>
  user: Record<string, unknown>
}

interface KubeConfigText {
  clusters: Map<string, Record<string, unknown>>
  users: Map<string, Record<string, unknown>>
  contexts: Map<string, Record<string, unknown>>
  currentContext: string | null
}

/**
 * What is asked for, or, where nothing is: KUBECONFIG where it is set, as for kubectl; else the service account where
 * this is a pod; else ~/.kube/config.
 * @throws ConfigError naming file, context and what is missing
 */
export function findKubeConfig(choice: KubeConfigChoice): FoundKubeConfig {
  if (choice.inCluster === true) {
    const extra =
      choice.configFile !== null
        ? 'a kubeconfig file (kubernetes_config_file)'
        : choice.context !== null
          ? 'a context'
          : undefined
    if (extra !== undefined) {
      throw new ConfigError(
        `kubernetes_in_cluster is true, and ${extra} is asked for too. Leave one of them out`,
      )
    }
    return serviceAccountConfig(choice)
  }
  if (choice.configFile !== null) return fileConfig([expandHome(choice.configFile, choice)], choice)
  const listed = (choice.environment.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '')
  if (listed.length > 0) return fileConfig(existingOf(listed), choice)
  if (choice.inCluster === null && choice.context === null && isInCluster(choice))
    return serviceAccountConfig(choice)
  const home = choice.environment.HOME ?? ''
  const file = join(home, '.kube', 'config')
  if (home === '' || !existsSync(file)) {
    throw new ConfigError(
      `no Kubernetes cluster is known: there is no service account in ${directoryOf(choice)}, KUBECONFIG is not set, ` +
        `and there is no file ${home === '' ? '~/.kube/config (HOME is not set)' : file}. ` +
        'Name a kubeconfig file (kubernetes_config_file, or KUBECONFIG), or run in a pod with a service account',
    )
  }
  return fileConfig([file], choice)
}

function directoryOf({ serviceAccount }: KubeConfigChoice): string {
  return serviceAccount ?? serviceAccountDirectory
}

function isInCluster(choice: KubeConfigChoice): boolean {
  return (
    choice.environment.KUBERNETES_SERVICE_HOST !== undefined && existsSync(join(directoryOf(choice), 'token'))
  )
}

function serviceAccountConfig(choice: KubeConfigChoice): FoundKubeConfig {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = choice.environment
  const directory = directoryOf(choice)
  if (host === undefined || port === undefined) {
    throw new ConfigError(
      'in-cluster access is asked for, but KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is ' +
        'not a pod. Name a kubeconfig file instead',
    )
  }
  for (const name of ['token', 'ca.crt']) {
    if (existsSync(join(directory, name))) continue
    throw new ConfigError(
      `in-cluster access is asked for, but there is no file ${join(directory, name)}. ` +
        'Let the pod have its service account token (automountServiceAccountToken: true)',
    )
  }
  const namespaceFile = join(directory, 'namespace')
  return {
    configFile: null,
    context: null,
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: existsSync(namespaceFile) ? readFileSync(namespaceFile, 'utf8').trim() : 'default',
    cluster: { 'certificate-authority': join(directory, 'ca.crt') },
    user: { tokenFile: join(directory, 'token') },
  }
}

/** Of several files those may be missing that others make up for, as for kubectl. */
function existingOf(files: string[]): string[] {
  const existing = files.filter((file) => existsSync(file))
  return existing.length === 0 ? files.slice(0, 1) : existing
}

function fileConfig(files: string[], choice: KubeConfigChoice): FoundKubeConfig {
  const config = files.map(readKubeConfigFile).reduce(merged)
  const where = files.join(', ')
  const contextName = choice.context ?? config.currentContext
  const names = [...config.contexts.keys()]
  if (contextName === null || contextName === '') {
    throw new ConfigError(`${where} has no current-context. Name one of its contexts: ${listOf(names)}`)
  }
  const context = config.contexts.get(contextName)
  if (context === undefined) {
    throw new ConfigError(
      `${where} has no context '${contextName}'.${didYouMean(contextName, names)} It has: ${listOf(names)}`,
    )
  }
  const cluster = named('cluster', context.cluster, config.clusters, `context '${contextName}' of ${where}`)
  // A context without a user is anonymous.
  const user =
    context.user === undefined || context.user === ''
      ? {}
      : named('user', context.user, config.users, `context '${contextName}' of ${where}`)
  refuseUnknown(user, `user '${context.user}' of ${where}`)
  const server = cluster.server
  if (typeof server !== 'string' || !/^https?:\/\/./.test(server) || !URL.canParse(server)) {
    throw new ConfigError(
      `cluster '${context.cluster}' of ${where} has the server ${JSON.stringify(server)}. Give it the URL of an API ` +
        'server, such as https://203.0.113.7:6443',
    )
  }
  return {
    configFile: where,
    context: contextName,
    server: server.replace(/\/+$/, ''),
    namespace:
      typeof context.namespace === 'string' && context.namespace !== '' ? context.namespace : 'default',
    cluster,
    user,
  }
}

/** What the library passes over in silence, and what would make us somebody else than is meant. */
function refuseUnknown(user: Record<string, unknown>, whose: string): void {
  const key = ['as-groups', 'as-uid', 'as-user-extra'].find((one) => user[one] !== undefined)
  if (key === undefined) return
  throw new ConfigError(`${whose} has '${key}', which is not supported: of impersonation only 'as' is`)
}

function readKubeConfigFile(file: string): KubeConfigText {
  const path = resolve(file)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`the kubeconfig file ${path} cannot be read: ${messageOf(error)}`, { cause: error })
  }
  const value = parseYaml(text, `the kubeconfig file ${path}`)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(`${path} is no kubeconfig: it has no clusters, users and contexts`)
  }
  const config = value as Record<string, unknown>
  const current = config['current-context']
  return {
    clusters: entriesOf(config, 'clusters', 'cluster', path),
    users: entriesOf(config, 'users', 'user', path),
    contexts: entriesOf(config, 'contexts', 'context', path),
    currentContext: typeof current === 'string' ? current : null,
  }
}

/** The named entries of one list, with paths made absolute from the file that has them. */
function entriesOf(
  config: Record<string, unknown>,
  list: string,
  key: string,
  path: string,
): Map<string, Record<string, unknown>> {
  const entries = config[list] ?? []
  if (!Array.isArray(entries)) throw new ConfigError(`${path} is no kubeconfig: ${list} is no list`)
  return new Map(
    entries.map((entry: unknown, index): [string, Record<string, unknown>] => {
      const { name, [key]: value } = (entry ?? {}) as Record<string, unknown>
      if (typeof name !== 'string')
        throw new ConfigError(`${path} is no kubeconfig: ${list}[${index}] has no name`)
      if (typeof value !== 'object' || value === null) return [name, {}]
      return [name, withAbsolutePaths(value as Record<string, unknown>, dirname(path))]
    }),
  )
}

const pathKeys = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile']

function withAbsolutePaths(entry: Record<string, unknown>, folder: string): Record<string, unknown> {
  const absolute = { ...entry }
  for (const key of pathKeys) {
    const path = absolute[key]
    if (typeof path === 'string' && path !== '' && !isAbsolute(path)) absolute[key] = join(folder, path)
  }
  // A command with a slash is a path from the file; one without is looked for in PATH.
  const { exec } = absolute as { exec?: { command?: unknown } }
  if (typeof exec?.command === 'string' && exec.command.includes('/') && !isAbsolute(exec.command)) {
    absolute.exec = { ...exec, command: join(folder, exec.command) }
  }
  return absolute
}

/** Where two files have the same name the first one's counts, as for kubectl. */
function merged(first: KubeConfigText, second: KubeConfigText): KubeConfigText {
  return {
    clusters: new Map([...second.clusters, ...first.clusters]),
    users: new Map([...second.users, ...first.users]),
    contexts: new Map([...second.contexts, ...first.contexts]),
    currentContext: first.currentContext ?? second.currentContext,
  }
}

function named(
  what: string,
  name: unknown,
  entries: Map<string, Record<string, unknown>>,
  whose: string,
): Record<string, unknown> {
  const entry = typeof name === 'string' ? entries.get(name) : undefined
  if (entry !== undefined) return entry
  const names = [...entries.keys()]
  throw new ConfigError(
    typeof name === 'string' && name !== ''
      ? `${whose} names the ${what} '${name}', which the file does not have.${didYouMean(name, names)} It has: ${listOf(names)}`
      : `${whose} names no ${what}`,
  )
}

function listOf(names: string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}

function expandHome(file: string, { environment }: KubeConfigChoice): string {
  return file.startsWith('~/') ? join(environment.HOME ?? '', file.slice(2)) : file
}
