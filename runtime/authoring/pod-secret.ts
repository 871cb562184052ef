// `secret()`: Airflow's Secret. A plain object with a mark, so that what is none is told before a pod is made of it.
import { DagDefinitionError } from '../errors.ts'
import type { SecretManifest } from '../operator-manifest.ts'
import { optionsInCamelCase } from './pod-option-names.ts'
import { choice, text } from './pod-values.ts'

const secretBrand: unique symbol = Symbol.for('branchline.secret')

/** A secret as `secret()` makes it. */
export interface Secret {
  /** @internal */
  readonly [secretBrand]: SecretManifest
}

/** Options of `secret()`. */
export interface SecretOptions {
  /** 'env': as environment variables. 'volume': as files. */
  deployType: 'env' | 'volume'
  /** Name of the variable, or directory of the files. Null with 'env': each key is a variable of its own name. */
  deployTarget: string | null
  /** Name of the secret, in the pod's namespace. */
  secret: string
  /** One key of it. Default: all. */
  key?: string | null
}

const optionNames = [
  'deployType',
  'deployTarget',
  'secret',
  'key',
] as const satisfies readonly (keyof SecretOptions)[]

/**
 * A secret for the option `secrets` of `pod()` and `job()`.
 *
 * ```ts
 * secret({ deployType: 'env', deployTarget: 'DB_PASSWORD', secret: 'database', key: 'password' })
 * secret({ deployType: 'volume', deployTarget: '/etc/tls', secret: 'tls' })
 * ```
 * @throws DagDefinitionError
 */
export function secret(options: SecretOptions): Secret {
  const place = 'secret()'
  const given = optionsInCamelCase(place, options, optionNames)
  const at = (option: keyof SecretOptions) => ({ place, option })
  const deployType = choice('env', 'volume')(at('deployType'), given.deployType)
  const deployTarget = text(at('deployTarget'), given.deployTarget)
  const name = text(at('secret'), given.secret)
  const key = text(at('key'), given.key)
  const refuse = (problem: string) => {
    throw new DagDefinitionError(`${place}: ${problem}`)
  }
  if (deployType === null) return refuse("option 'deployType' is missing: 'env' or 'volume'")
  if (name === null) return refuse("option 'secret' is missing: the name of the secret")
  if (deployType === 'volume' && !(deployTarget ?? '').startsWith('/')) {
    return refuse("with deployType 'volume', option 'deployTarget' is the absolute path of the directory")
  }
  if (deployType === 'env' && (deployTarget === null) !== (key === null)) {
    return refuse(
      "with deployType 'env', 'deployTarget' (the variable) and 'key' go together; without both, each key is a variable of its own name",
    )
  }
  return { [secretBrand]: { deploy_type: deployType, deploy_target: deployTarget, secret: name, key } }
}

/** What `secret()` made; null for anything else. */
export function secretManifest(value: unknown): SecretManifest | null {
  return typeof value === 'object' && value !== null && secretBrand in value
    ? (value as Secret)[secretBrand]
    : null
}
