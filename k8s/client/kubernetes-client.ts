// All that is said to an API server, in our words: pods, their logs and events, rights, keys, and objects of any kind.
// Pods go in and come out as JSON texts that were written and read once; times in them are texts (RFC 3339).
import type { Readable, Writable } from 'node:stream'
import type { CoreV1Event, V1Pod } from '../../runtime/kubernetes-types.ts'

/** What every call takes. */
export interface CallOptions {
  /** Ends the call with the signal's reason. What it asked for may have been done all the same. */
  signal?: AbortSignal
}

export interface DeleteOptions extends CallOptions {
  /** Default: the object's own. 0 kills at once, and does not wait for the node. */
  gracePeriodSeconds?: number
  /** Only the object with this uid, and no other that has its name by now. */
  uid?: string
  /** What becomes of what the object owns. Default: the server's, `Background` for most kinds. */
  propagation?: 'Background' | 'Foreground' | 'Orphan'
}

export interface ListOptions extends CallOptions {
  labelSelector?: string
  fieldSelector?: string
  /** Pods of one page; default 500. */
  pageSize?: number
  /** Any state not older than this one, from the server's memory. Default: the newest. */
  resourceVersion?: string
}

export interface PodPage {
  /** The state that all pages of the list are of. A watch goes on from it. */
  resourceVersion: string
  pods: V1Pod[]
}

/** One line of a watch. A bookmark has nothing but `metadata.resourceVersion`. */
export type WatchEvent =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: V1Pod }
  | { type: 'ERROR'; object: unknown }

export interface WatchOptions extends CallOptions {
  labelSelector?: string
  resourceVersion: string
  /** After so long the server ends the watch by itself. */
  timeoutSeconds: number
  /** After so long without an event or bookmark the connection is dropped. */
  idleMs: number
}

export interface PodLogOptions extends CallOptions {
  container: string
  /** Goes on until the container has ended. Default false. */
  follow?: boolean
  /** RFC 3339; the server looks at whole seconds. */
  sinceTime?: string
  tailLines?: number
  limitBytes?: number
  /** Begins each line with its time, RFC 3339 with nanoseconds, and a space. Default false. */
  timestamps?: boolean
  /** Of the container's instance before this one. Default false. */
  previous?: boolean
  /** After so long without a byte the connection is dropped. Default: five minutes. */
  idleMs?: number
}

export interface Right {
  verb: string
  /** Plural: `pods`. */
  resource: string
  /** Default: the core group. */
  group?: string
  /** Such as `log` or `exec`. */
  subresource?: string
  namespace: string
  name?: string
}

/** An object of any kind, as its YAML has it. */
export interface KubernetesObject {
  apiVersion: string
  kind: string
  metadata: { name?: string; generateName?: string; namespace?: string; uid?: string; [key: string]: unknown }
  [key: string]: unknown
}

/** Names an object of any kind. */
export interface ObjectReference {
  apiVersion: string
  kind: string
  /** Without a meaning for kinds that are in no namespace. Default: the client's own. */
  namespace?: string
  name: string
}

export interface ExecOptions extends CallOptions {
  container: string
  command: string[]
  /** A terminal: one stream for both outputs, echo, signals by keys. Default false. */
  tty?: boolean
  stdin?: Readable
  stdout: Writable
  /** Where `tty` is set nothing comes here. */
  stderr?: Writable
  /** Called once, when the server has taken the command: its streams are connected from here on. */
  onOpen?: () => void
  /** The terminal's sizes: the first at once, further ones as they change. Only with `tty`. */
  sizes?: AsyncIterable<{ columns: number; rows: number }>
}

export interface KubernetesClient {
  /** URL of the API server. */
  readonly server: string
  /** Name of the kubeconfig's context; null inside a cluster. */
  readonly context: string | null
  /** Path of the kubeconfig; null inside a cluster. */
  readonly configFile: string | null
  /** Of the context or the service account; `default` where it has none. */
  readonly namespace: string
  /** Server, context and file in words, for messages. */
  readonly where: string

  /** The server's version, such as `v1.35.4`: shows that it can be reached and takes our credentials. */
  version(options?: CallOptions): Promise<string>

  /**
   * @param options.dryRun checks, defaults and admits the pod, and keeps nothing
   * @returns the pod as the server has it
   * @throws KubernetesError, among them `isAlreadyExists` and those that `pushBackOf` knows
   */
  createPod(namespace: string, pod: V1Pod, options?: CallOptions & { dryRun?: boolean }): Promise<V1Pod>
  /** Undefined where there is none of that name. */
  readPod(namespace: string, name: string, options?: CallOptions): Promise<V1Pod | undefined>
  /**
   * Asks for its deletion. May be called again.
   * @returns false where it is gone already, or where another pod with another uid has its name
   */
  deletePod(namespace: string, name: string, options?: DeleteOptions): Promise<boolean>
  /**
   * The pods of a namespace, a page at a time, all of the same state.
   * @throws KubernetesError; `isExpired` where reading took so long that the state is gone (minutes): begin again
   */
  listPodPages(namespace: string, options?: ListOptions): AsyncGenerator<PodPage, void, void>
  /** All pages in one. */
  listPods(namespace: string, options?: ListOptions): Promise<PodPage>
  /**
   * Resolves once the server has begun. Events as they come, in groups of those that came together; ends where the
   * server ends it. To be read to its end, or ended by the signal.
   * @throws KubernetesError; `isExpired` where the resourceVersion is too old. ERROR events are handed on as they are
   */
  watchPods(namespace: string, options: WatchOptions): Promise<AsyncIterable<WatchEvent[]>>
  /**
   * A container's output as it is, in pieces of any length.
   * @throws KubernetesError: 400 while the container has not begun, 404 where the pod is gone
   */
  podLog(namespace: string, name: string, options: PodLogOptions): AsyncGenerator<Buffer, void, void>
  /** Kubernetes' events about one object, or all of a type about pods, oldest first. */
  listEvents(
    namespace: string,
    about: CallOptions & ({ involvedUid: string } | { involvedName: string } | { type: 'Warning' }),
  ): Promise<CoreV1Event[]>
  /**
   * Runs a command in a container, as `kubectl exec` does.
   * @returns its exit code
   * @throws KubernetesError where it could not be started, or the connection was lost
   */
  exec(namespace: string, pod: string, options: ExecOptions): Promise<number>
  /** Whether we may do this, and the server's reason where it gave one. */
  canI(right: Right, options?: CallOptions): Promise<{ isAllowed: boolean; reason: string }>
  /** The public keys (JWKS) by which the cluster's service account tokens are checked. */
  keySet(options?: CallOptions): Promise<{ keys: Record<string, unknown>[] }>
  /** The `iss` of the cluster's service account tokens. */
  issuer(options?: CallOptions): Promise<string>
  /**
   * @param options.dryRun checks, defaults and admits the object, and keeps nothing
   * @throws KubernetesError; NotFoundError where the server has no such kind, with the nearest that it has
   */
  createObject(
    object: KubernetesObject,
    options?: CallOptions & { dryRun?: boolean },
  ): Promise<KubernetesObject>
  /** Undefined where there is none of that name. */
  readObject(reference: ObjectReference, options?: CallOptions): Promise<KubernetesObject | undefined>
  /**
   * @param patch for `apply` the object as it is to be, which is made where it is not there; else the fields
   * that change
   */
  patchObject(
    reference: ObjectReference,
    patch: unknown,
    options: CallOptions & { type: 'apply' | 'merge' | 'strategic' },
  ): Promise<KubernetesObject>
  /** Returns what `deletePod` does. */
  deleteObject(reference: ObjectReference, options?: DeleteOptions): Promise<boolean>
  /** Drops all connections. */
  close(): void
}
