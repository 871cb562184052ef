// The objects of one attempt of `resource()`, rendered. Pure.
import { messageOf, PodSpecError } from '../../runtime/errors.ts'
import type { KubernetesObject, ResourceOperatorManifest } from '../../runtime/operator-manifest.ts'
import type { TemplateVariables } from '../../runtime/templates/template-variables.ts'
import { type AttemptIdentity, podAnnotations, podLabels } from '../pod/attempt-identity.ts'
import { labelPrefix } from '../pod/pod-names.ts'
import { parseYamlDocuments } from '../yaml.ts'
import { renderOperator } from './render-operator.ts'

interface ObjectsInput {
  identity: AttemptIdentity
  settings: { namespace: string }
  operator: ResourceOperatorManifest
  variables: TemplateVariables
}

/** One that is to be created, applied, patched, read or deleted. */
export interface OperatorObject extends KubernetesObject {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; [key: string]: unknown }
}

/**
 * In the order in which they were written. Those that are created or applied carry labels and annotations of the
 * attempt.
 * @throws TemplateError where a template names what the run does not have
 * @throws PodSpecError where one is no object, or has no name: an attempt that is made again must find it
 */
export function buildOperatorObjects({
  identity,
  settings,
  operator,
  variables,
}: ObjectsInput): OperatorObject[] {
  const { manifest, yaml, namespace, action } = renderOperator(operator, variables)
  const objects = manifest ?? readYaml(yaml!)
  if (objects.length === 0) throw new PodSpecError("option 'yaml' has no object in it")
  const isOurs = action === 'create' || action === 'apply'
  return objects.map((object, index) => {
    const checked = checkObject(object, objects.length === 1 ? 'the object' : `object ${index + 1}`)
    const { metadata } = checked
    return {
      ...checked,
      metadata: {
        ...metadata,
        namespace: metadata.namespace ?? namespace ?? settings.namespace,
        ...(isOurs && {
          labels: { ...metadata.labels, ...withoutDeployment(podLabels(identity)) },
          annotations: { ...(metadata.annotations as object | undefined), ...podAnnotations(identity) },
        }),
      },
    }
  })
}

/** Labels of an attempt for what is no attempt's pod: only such pods carry the deployment's. */
export function withoutDeployment(labels: Record<string, string>): Record<string, string> {
  const { [`${labelPrefix}deployment_id`]: _, ...others } = labels
  return Object.fromEntries(Object.entries(others).filter(([name]) => name.startsWith(labelPrefix)))
}

function readYaml(text: string): unknown[] {
  try {
    return parseYamlDocuments(text, "option 'yaml'")
  } catch (cause) {
    throw new PodSpecError(messageOf(cause), { cause })
  }
}

function checkObject(value: unknown, what: string): OperatorObject {
  const { apiVersion, kind, metadata } = (value ?? {}) as Partial<OperatorObject>
  for (const [field, given] of Object.entries({ apiVersion, kind, 'metadata.name': metadata?.name })) {
    if (typeof given === 'string' && given !== '') continue
    throw new PodSpecError(
      `${what} of resource() has no ${field}: every object needs apiVersion, kind and metadata.name`,
    )
  }
  return value as OperatorObject
}
