// The name of an operator's pod or job: derived from the attempt like that of a worker pod, so that it is made once
// and found by its name; or, where the author said so, exactly what the author wrote.
import { PodSpecError } from '../../runtime/errors.ts'
import type { PodParameters } from '../../runtime/operator-manifest.ts'
import { type AttemptIdentity, podName } from '../pod/attempt-identity.ts'

const maxLength = 63
/** `-` and the hash at the end of every name. */
const suffixLength = 17
const exactPattern = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

/**
 * @param parameters rendered
 * @param templateName of full_pod_spec or the template; counts where no name was said
 * @throws PodSpecError where an exact name can be none
 */
export function operatorName(
  identity: AttemptIdentity,
  { name: said, random_name_suffix: isMadeUnique }: Pick<PodParameters, 'name' | 'random_name_suffix'>,
  templateName: string | undefined,
): string {
  const derived = podName(identity)
  const name = said ?? templateName
  if (name === undefined) return derived
  if (isMadeUnique) {
    const start = name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, maxLength - suffixLength)
    const trimmed = start.replace(/^-+|-+$/g, '')
    return trimmed === '' ? derived : trimmed + derived.slice(-suffixLength)
  }
  if (exactPattern.test(name)) return name
  throw new PodSpecError(
    `the pod cannot be named ${JSON.stringify(name)}: a name has a to z, 0 to 9, '-' and '.', and begins and ends with a letter or digit; without randomNameSuffix: false it is made to fit`,
    { details: { name } },
  )
}
