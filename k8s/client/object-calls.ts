// Objects of any kind. Under which path a kind is found, and whether it is in a namespace, the server says itself; what
// it said is kept, and asked again where a kind is not among it, since definitions may have been added.
import { InvalidInputError, NotFoundError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import { isNotFound } from '../kubernetes-error.ts'
import { deleteCall } from './delete-call.ts'
import type { CallOptions, KubernetesClient, KubernetesObject, ObjectReference } from './kubernetes-client.ts'
import type { Transport } from './transport.ts'

type ObjectCalls = Pick<KubernetesClient, 'createObject' | 'readObject' | 'patchObject' | 'deleteObject'>

/** Who we are among those that set fields of an object. */
const fieldManager = 'branchline'

const patchTypes = {
  apply: 'application/apply-patch+yaml',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const

/** One entry of the server's list of kinds. */
interface ApiResource {
  /** Plural, as in paths; with a slash for subresources. */
  name: string
  kind: string
  namespaced: boolean
}

export function createObjectCalls(deps: { transport: Transport; namespace: string }): ObjectCalls {
  const { transport } = deps
  const known = new Map<string, ApiResource[]>()

  const resourceOf = async (apiVersion: string, kind: string, signal?: AbortSignal): Promise<ApiResource> => {
    const find = (): ApiResource | undefined =>
      known.get(apiVersion)?.find((resource) => resource.kind === kind && !resource.name.includes('/'))
    const before = find()
    if (before !== undefined) return before
    let resources: ApiResource[]
    try {
      const call = `list the kinds of ${apiVersion}`
      const answer = await transport.call({ call, method: 'GET', path: rootOf(apiVersion), signal })
      resources = (JSON.parse(answer) as { resources: ApiResource[] }).resources
    } catch (error) {
      if (!isNotFound(error)) throw error
      throw new NotFoundError(
        `the API server has no apiVersion '${apiVersion}'. See kubectl api-versions; a custom resource's definition ` +
          'must be installed first',
        { cause: error },
      )
    }
    known.set(apiVersion, resources)
    const found = find()
    if (found !== undefined) return found
    const kinds = resources.filter(({ name }) => !name.includes('/')).map((resource) => resource.kind)
    throw new NotFoundError(
      `the API server has no kind '${kind}' in ${apiVersion}.${didYouMean(kind, kinds)} See kubectl api-resources`,
    )
  }

  const pathOf = async (reference: Omit<ObjectReference, 'name'>, { signal }: CallOptions) => {
    const { apiVersion, kind, namespace = deps.namespace } = reference
    const { name, namespaced } = await resourceOf(apiVersion, kind, signal)
    const scope = namespaced ? `/namespaces/${encodeURIComponent(namespace)}` : ''
    return { path: `${rootOf(apiVersion)}${scope}/${name}`, prefix: namespaced ? `${namespace}/` : '' }
  }

  return {
    async createObject(object, options = {}) {
      const { apiVersion, kind, metadata } = object
      if (typeof apiVersion !== 'string' || typeof kind !== 'string' || typeof metadata !== 'object') {
        throw new InvalidInputError('an object for Kubernetes needs apiVersion, kind and metadata')
      }
      const { namespace } = metadata
      const { path, prefix } = await pathOf(
        { apiVersion, kind, ...(namespace === undefined ? {} : { namespace }) },
        options,
      )
      const answer = await transport.call({
        call: `create ${kind} ${prefix}${metadata.name ?? metadata.generateName ?? ''}`,
        method: 'POST',
        path: `${path}?fieldValidation=Strict${options.dryRun === true ? '&dryRun=All' : ''}`,
        body: JSON.stringify(object),
        signal: options.signal,
      })
      return JSON.parse(answer) as KubernetesObject
    },
    async readObject(reference, options = {}) {
      const { path, prefix } = await pathOf(reference, options)
      const { kind, name } = reference
      try {
        const answer = await transport.call({
          call: `read ${kind} ${prefix}${name}`,
          method: 'GET',
          path: `${path}/${encodeURIComponent(name)}`,
          signal: options.signal,
        })
        return JSON.parse(answer) as KubernetesObject
      } catch (error) {
        if (isNotFound(error)) return undefined
        throw error
      }
    },
    async patchObject(reference, patch, { type, signal }) {
      const { path, prefix } = await pathOf(reference, signal === undefined ? {} : { signal })
      const { kind, name } = reference
      // What others have set stays theirs, but for what we say of it.
      const query =
        type === 'apply'
          ? `?fieldValidation=Strict&fieldManager=${fieldManager}&force=true`
          : `?fieldValidation=Strict&fieldManager=${fieldManager}`
      const answer = await transport.call({
        call: `${type === 'apply' ? 'apply' : 'patch'} ${kind} ${prefix}${name}`,
        method: 'PATCH',
        path: `${path}/${encodeURIComponent(name)}${query}`,
        body: JSON.stringify(patch),
        contentType: patchTypes[type],
        signal,
      })
      return JSON.parse(answer) as KubernetesObject
    },
    async deleteObject(reference, options = {}) {
      const { path, prefix } = await pathOf(reference, options)
      const { kind, name } = reference
      const target = { call: `delete ${kind} ${prefix}${name}`, path: `${path}/${encodeURIComponent(name)}` }
      return await deleteCall(transport, target, options)
    },
  }
}

/** The core group is under /api, all others under /apis. */
function rootOf(apiVersion: string): string {
  const path = apiVersion.split('/').map(encodeURIComponent).join('/')
  return apiVersion.includes('/') ? `/apis/${path}` : `/api/${path}`
}
