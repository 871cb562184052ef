// Variables that look like options of sync and are none: a misspelt one would be a setting that is silently missing.
import { didYouMean } from '../../runtime/nearest.ts'
import { deprecatedRows, optionRows } from './options.ts'

const prefix = /^(?:GITSYNC|GIT_SYNC)_/

/**
 * Not options, yet to be expected: the commit that a hook finds in its environment (a hook may start another sync),
 * and what many charts set beside a key for version 3; SSH needs no option any more.
 */
const harmless: readonly string[] = ['GITSYNC_HASH', 'GIT_SYNC_SSH', 'GITSYNC_SSH']

const optionVariables = [
  ...optionRows.flatMap(([, { env, oldEnv = [] }]) => (env === undefined ? oldEnv : [env, ...oldEnv])),
  ...deprecatedRows.flatMap(([, { env }]) => env ?? []),
]
const known = new Set([...harmless, ...optionVariables])

/**
 * Kubernetes gives each container variables for each Service of its namespace, so that one named `git-sync` or
 * `gitsync-web` makes these.
 */
const serviceVariable =
  /^(?:GITSYNC|GIT_SYNC)_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/
/** Its name alone could be an option's; its value could not. */
const servicePort = { name: /_PORT$/, value: /^(?:tcp|udp|sctp):\/\// }

/** Names of variables that begin as ours do, that no option reads and that Kubernetes did not make; sorted. */
export function unknownVariablesIn(env: NodeJS.ProcessEnv): string[] {
  return Object.keys(env)
    .filter((name) => {
      if (env[name] === undefined || !prefix.test(name) || known.has(name)) return false
      const isService = servicePort.name.test(name) && servicePort.value.test(env[name])
      return !isService && !serviceVariable.test(name)
    })
    .sort()
}

/** What to say of such a name: sentences, with the name that was probably meant, without any value. */
export function describeUnknown(name: string): string {
  // Old and new names differ most often in nothing but the beginning.
  const twin = name.startsWith('GITSYNC_')
    ? name.replace('GITSYNC_', 'GIT_SYNC_')
    : name.replace('GIT_SYNC_', 'GITSYNC_')
  const candidates = optionVariables.includes(twin) ? [twin] : optionVariables
  return `env $${name} is read by no option.${didYouMean(name, candidates)}`
}
