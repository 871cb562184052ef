// The one table of configuration. Parsing, `branchline config print`, docs/reference/config.md and the types of
// the code all come from it; a key that is not here does not exist. The environment variable of a key is
// BRANCHLINE_ and the key in capitals.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { logLevels } from './log-levels.ts'
import {
  boolean,
  bytes,
  duration,
  integer,
  list,
  oneOf,
  path,
  postgresUrl,
  type Setting,
  text,
} from './setting.ts'

export const configTable = {
  database_url: postgresUrl({
    default: null,
    secret: true,
    description:
      'Postgres to work with: `postgres://user:password@host:port/database`. Without one, `branchline dev` starts its own below `data_dir`; the other programs need it.',
  }),
  data_dir: path<string>({
    default: '.branchline',
    description:
      'Everything that this deployment keeps on disk: the embedded Postgres, bundles, logs. Not to be shared by two machines.',
  }),
  logs_dir: path<string>({
    default: ({ data_dir }) => join(data_dir, 'logs'),
    defaultText: '`logs` in `data_dir`',
    description: "The attempts' log files. Every scheduler and server needs the same directory.",
  }),
  source_path: path<string | null>({
    default: null,
    description:
      'What the loader reads: the link that sync publishes, or a plain directory. `branchline dev` sets it.',
  }),
  dags_folder: text<string>({
    default: '.',
    description: 'Folder within the source in which Dag modules are looked for, with its subfolders.',
  }),
  dags_ignore_file: text<string>({
    default: '.branchlineignore',
    description:
      'Name of the file in `dags_folder` that lists, as .gitignore does, what is no Dag module. It may be absent.',
  }),
  allow_install_scripts: boolean({
    default: false,
    description:
      "Run the install scripts of the packages in a repository's lockfile. They run as this user, at install time: only for repositories whose every package you trust.",
  }),
  loader_import_timeout: duration({
    default: 30_000,
    description:
      'How long one Dag module may take to import. Shorter: slow modules on a busy machine become import errors. Longer: a module that never ends holds its place for as long.',
  }),
  loader_memory_mb: integer({
    default: 512,
    min: 32,
    unit: 'MB',
    description:
      'Heap of the process that imports Dag modules. A module that needs more becomes an import error.',
  }),
  dags_are_paused_at_creation: boolean({
    default: false,
    description: 'Whether a Dag that is new begins paused, where it does not say so itself.',
  }),
  scheduler_lease_ttl: duration({
    default: 1_500,
    min: 200,
    description:
      'How long a scheduler holds its runs without renewing. Shorter: a busy scheduler may lose runs that it still works on. Longer: the runs of one that died wait for as long.',
  }),
  scheduler_health_bind: text<string | null>({
    default: null,
    description:
      'Address of `/livez`, `/readyz` and `/metrics` of a scheduler: `:8974` or `127.0.0.1:8974`. Without one there are none.',
  }),
  scheduler_hang_timeout: duration({
    default: 120_000,
    min: 1_000,
    description:
      'From when on `/livez` says that a loop of the scheduler hangs. Shorter: work that a slow Postgres holds up is taken for it, and a restart begins it anew. Longer: what hangs does so for as long.',
  }),
  executors: list({
    default: ['local'],
    description:
      "Executors that the schedulers have: `local`, warm processes on the scheduler's own machine, and `kubernetes`, a pod for each attempt.",
  }),
  default_executor: text<string | null>({
    default: null,
    defaultText: 'the first of `executors`',
    description: 'Executor of the tasks that do not name one.',
  }),
  local_executor_slots: integer({
    default: () => availableParallelism(),
    defaultText: 'number of CPUs',
    min: 1,
    max: 1_024,
    description:
      "Attempts that the local executor runs at once, each in a process of its own. More than CPUs pays where tasks wait for others' answers.",
  }),
  task_runner_max_attempts: integer({
    default: 10_000,
    min: 1,
    description:
      'Attempts that a warm process serves before a new one replaces it. Smaller: more process starts (tens of milliseconds each). Larger: what user code leaks grows longer.',
  }),
  task_runner_max_rss_mb: integer({
    default: 512,
    min: 64,
    unit: 'MB',
    description: 'Resident size after an attempt from which a warm process is replaced.',
  }),
  task_kill_grace: duration({
    default: 5_000,
    min: 0,
    description:
      'How long an attempt that is to end (timeout, cancel, shutdown) may clean up before it is killed with its children.',
  }),
  task_heartbeat_interval: duration({
    default: 1_000,
    min: 100,
    description: 'How often a running attempt says that it lives.',
  }),
  task_heartbeat_timeout: duration({
    default: 30_000,
    min: 1_000,
    description:
      'Silence after which a running attempt is a zombie: ended, then failed or retried. Shorter: a task that blocks its event loop, or a busy machine, is taken for dead.',
  }),
  xcom_max_bytes: bytes({
    default: 1024 * 1024,
    description:
      'Largest result of a task, as JSON. Results live in Postgres and are sent to the tasks that need them; larger data belongs in a file or an object store, by reference.',
  }),
  web_host: text<string>({
    default: '127.0.0.1',
    description:
      'Address on which the API listens. The API asks for no password: whoever reaches this address may start and stop Dags.',
  }),
  web_port: integer({
    default: 8080,
    min: 0,
    max: 65_535,
    description: 'Port on which the API listens; 0 takes any free one.',
  }),
  api_url: text<string>({
    default: 'http://127.0.0.1:8080',
    description: 'Where the command line finds the API.',
  }),
  execution_api_url: text<string | null>({
    default: null,
    description:
      'Where pods find the API, as they see it: `http://branchline-web.branchline.svc:8080`. The executor `kubernetes` needs it.',
  }),
  kubernetes_in_cluster: oneOf(['auto', 'true', 'false'], {
    default: 'auto',
    description:
      "Whether to speak to the API server as the pod's own service account (Airflow's `in_cluster`). `auto`: where there is one and no `kubernetes_config_file` is named.",
  }),
  kubernetes_config_file: path<string | null>({
    default: null,
    defaultText: 'as kubectl: KUBECONFIG, or ~/.kube/config',
    description: "The kubeconfig outside of a cluster (Airflow's `config_file`).",
  }),
  kubernetes_cluster_context: text<string | null>({
    default: null,
    defaultText: 'the current one',
    description: "Context of the kubeconfig (Airflow's `cluster_context`).",
  }),
  kubernetes_namespace: text<string | null>({
    default: null,
    defaultText: "the context's, or the scheduler's own",
    description: "Namespace of pods that name none (Airflow's `namespace`).",
  }),
  kubernetes_namespaces: list({
    default: [],
    description:
      "Further namespaces in which tasks may have pods (Airflow's `multi_namespace_mode_namespace_list`). Each needs the role of `k8s/manifests`.",
  }),
  pod_template_file: path<string | null>({
    default: null,
    description:
      'A pod as YAML from which every worker pod is made: with `metadata.name`, and a first container `base`.',
  }),
  pod_hook: path<string | null>({
    default: null,
    description:
      "A module of the deployment's own whose default export changes each pod before it is created: `(pod, taskInstance) => pod` (Airflow's `pod_mutation_hook`). It runs within the scheduler.",
  }),
  worker_image: text<string | null>({
    default: null,
    description:
      "Image of the container `base` (Airflow's `worker_container_repository` and `_tag`). Without one, that of the pod template.",
  }),
  worker_image_pull_policy: oneOf(['default', 'Always', 'IfNotPresent', 'Never'], {
    default: 'default',
    description:
      "When nodes pull the images of worker pods: `base` and the init container's. `default`: as Kubernetes does where nothing is said.",
  }),
  worker_image_pull_secrets: list({
    default: [],
    description: 'Names of secrets with which nodes pull the images of worker pods.',
  }),
  worker_service_account_name: text<string | null>({
    default: null,
    defaultText: "the namespace's `default`",
    description: 'Service account of worker pods. Its token is not mounted where nothing asks for it.',
  }),
  worker_dags_source: oneOf(['git', 'image', 'volume_claim', 'host_path'], {
    default: 'git',
    description:
      "Where a worker pod has the files of the run's commit from. `git`: the init container `git-sync-clone` pulls the commit. The others: they are at `worker_dags_path` already, in the image or by a volume.",
  }),
  worker_dags_path: text<string>({
    default: '/opt/branchline/dags',
    description:
      'Directory of the Dags in worker pods: what the init container, the claim or the host path is mounted at, or where the image has them.',
  }),
  worker_dags_volume_claim: text<string | null>({
    default: null,
    description: 'Persistent volume claim with the Dags, for `worker_dags_source` `volume_claim`.',
  }),
  worker_dags_volume_sub_path: text<string | null>({
    default: null,
    description: 'Folder of the Dags within the claim.',
  }),
  worker_dags_host_path: text<string | null>({
    default: null,
    description: 'Directory of the Dags on the nodes, for `worker_dags_source` `host_path`.',
  }),
  git_sync_image: text<string | null>({
    default: null,
    description: 'The sync image, for the init container `git-sync-clone`.',
  }),
  git_sync_repo: text<string | null>({
    default: null,
    description: 'Repository that the init container pulls, as pods reach it.',
  }),
  git_sync_depth: integer({
    default: 1,
    min: 0,
    description: 'History that the init container pulls; 0: all of it.',
  }),
  git_sync_submodules: oneOf(['recursive', 'shallow', 'off'], {
    default: 'recursive',
    description: 'Whether the init container pulls submodules.',
  }),
  git_sync_credentials_secret: text<string | null>({
    default: null,
    description:
      'Secret with the keys GITSYNC_USERNAME and GITSYNC_PASSWORD (or GIT_SYNC_USERNAME and GIT_SYNC_PASSWORD), for repositories by HTTP.',
  }),
  git_sync_ssh_key_secret: text<string | null>({
    default: null,
    description: 'Secret with the key gitSshKey, for repositories by SSH.',
  }),
  git_sync_known_hosts_config_map: text<string | null>({
    default: null,
    description:
      'Config map with the key known_hosts. Without one, where the repository is reached by SSH, the key known_hosts of `git_sync_ssh_key_secret` serves.',
  }),
  worker_pods_creation_concurrency: integer({
    default: 32,
    min: 1,
    max: 1_024,
    description:
      "Requests for pods under way at once (Airflow's `pod_creation_max_concurrency`). More: faster, and more load on the API server.",
  }),
  worker_pods_creation_rate: integer({
    default: 100,
    min: 1,
    unit: 'pods per second',
    description: 'How many pods a scheduler creates in a second, at most, on average.',
  }),
  worker_pods_creation_burst: integer({
    default: 200,
    min: 1,
    unit: 'pods',
    description: 'How many pods a scheduler creates at once after a pause.',
  }),
  delete_worker_pods: oneOf(['on_completion', 'on_success', 'never'], {
    default: 'on_completion',
    description:
      'Which pods are deleted when they have ended, never before their logs are safe. `on_success` keeps the pods of failed attempts.',
  }),
  delete_worker_pods_delay: duration({
    default: 0,
    min: 0,
    description: 'How long an ended pod stays before it is deleted.',
  }),
  worker_pod_pending_timeout: duration({
    default: 600_000,
    min: 1_000,
    description:
      "How long a pod may wait for a node or a container before its attempt ends (Airflow's `task_queued_timeout`), and another is made, as far as `infrastructure_retries` go.",
  }),
  worker_pod_pending_fatal_container_state_reasons: list({
    default: [
      'CreateContainerConfigError',
      'ErrImagePull',
      'CreateContainerError',
      'ImageInspectError',
      'InvalidImageName',
      'ErrImageNeverPull',
      'ImagePullBackOff',
    ],
    description:
      'Reasons for which a container waits that time does not mend: the attempt ends with the words of the kubelet.',
  }),
  worker_pod_pending_fatal_grace: duration({
    default: 30_000,
    min: 0,
    description: 'How long one of these reasons must have held. An image registry may be away for seconds.',
  }),
  worker_heartbeat_interval: duration({
    default: 10_000,
    min: 100,
    description:
      'How often an attempt in a pod asks whether it is to end, and tells how much memory it took. Shorter: more load on the servers, from every pod that runs. Longer: an attempt whose pod could not be told to end, its node being cut off, runs on for as long.',
  }),
  infrastructure_retries: integer({
    default: 5,
    min: 0,
    description:
      "How many times a task instance is given another attempt because the cluster failed it (evicted, node lost, image not pulled, no room), beside its own `retries` (Airflow's `pod_launch_failure_retries`).",
  }),
  infrastructure_retry_delay: duration({
    default: 5_000,
    min: 0,
    description: 'From such a failure to the next attempt; doubled each time, up to five minutes.',
  }),
  kubernetes_relist_interval: duration({
    default: 300_000,
    min: 1_000,
    description:
      'How often all pods of a namespace are listed and compared, beside the watch. Shorter: more load; longer: an event that the watch lost is found later.',
  }),
  log_level: oneOf(logLevels, {
    default: 'info',
    description: "Least level of the programs' own log lines (not of the tasks').",
  }),
} as const

export type ConfigKey = keyof typeof configTable

/** Every setting's value, by its key. Durations are milliseconds, paths are absolute. */
export type Config = {
  readonly [Key in ConfigKey]: (typeof configTable)[Key] extends Setting<infer Value> ? Value : never
}

export const configKeys = Object.keys(configTable) as ConfigKey[]

/** The environment variable of a key. */
export function variableOf(key: string): string {
  return `BRANCHLINE_${key.toUpperCase()}`
}
