// How a pod comes to the files of its run's commit: what is added to it for each source.
//
// From Git, the init container `git-sync-clone` pulls exactly the run's commit, once, into an emptyDir that `base`
// reads. Each pod has its own copy, so nothing that happens to the branch, to another pod or to the scheduler's own
// checkout changes the files under a running task. Credentials are in the init container alone: `base`, which runs
// the user's code, has neither the variables nor the volume.
import { PodSpecError } from '../../runtime/errors.ts'
import type { V1Container, V1Volume, V1VolumeMount } from '../../runtime/kubernetes-types.ts'
import { gitSyncContainer } from './pod-names.ts'
import type { DagsSource, PodSettings } from './pod-settings.ts'

/** User and group of the sync image. */
export const gitSyncUser = 65533

/** The link in the root of sync; see `branchline sync --link`. */
const gitSyncLink = 'current'

const dagsVolume = 'branchline-dags'
const gitSecretVolume = 'git-sync-secret'
const gitTmpVolume = 'git-sync-tmp'

/** Where the sync image has its root, its key and known hosts when nothing else is said. */
const gitRoot = '/git'
const gitSecretPath = '/etc/git-secret'

export interface DagsParts {
  volumes: V1Volume[]
  /** Of `base`. */
  volumeMounts: V1VolumeMount[]
  initContainers: V1Container[]
}

/**
 * @param commitSha of the run
 * @throws PodSpecError where the source is Git, and the run has no commit
 */
export function dagsParts(settings: PodSettings, commitSha: string | null): DagsParts {
  const { dagsSource: source, dagsPath } = settings
  const none: DagsParts = { volumes: [], volumeMounts: [], initContainers: [] }
  const mount: V1VolumeMount = { name: dagsVolume, mountPath: dagsPath, readOnly: true }
  switch (source.type) {
    case 'image':
      return none
    case 'volume_claim':
      return {
        ...none,
        volumes: [{ name: dagsVolume, persistentVolumeClaim: { claimName: source.claim } }],
        volumeMounts: [{ ...mount, ...(source.subPath === null ? {} : { subPath: source.subPath }) }],
      }
    case 'host_path':
      return {
        ...none,
        // Of type Directory: a node without it says so, instead of giving the task an empty one.
        volumes: [{ name: dagsVolume, hostPath: { path: source.path, type: 'Directory' } }],
        volumeMounts: [mount],
      }
    case 'git':
      return { ...gitParts(source, settings, commitSha), volumeMounts: [mount] }
  }
}

type GitSource = Extract<DagsSource, { type: 'git' }>

function gitParts(
  source: GitSource,
  { imagePullPolicy }: PodSettings,
  commitSha: string | null,
): Omit<DagsParts, 'volumeMounts'> {
  if (commitSha === null) {
    throw new PodSpecError(
      "the run has no commit, because its source is a plain directory, but worker_dags_source is 'git', which pulls a run's commit: let `branchline sync` publish the source, or set worker_dags_source to 'image', 'volume_claim' or 'host_path'",
      { details: { setting: 'worker_dags_source' } },
    )
  }
  const hasSecret = source.sshKeySecret !== null
  return {
    volumes: [
      { name: dagsVolume, emptyDir: {} },
      { name: gitTmpVolume, emptyDir: {} },
      ...(hasSecret ? [secretVolume(source, source.sshKeySecret!)] : []),
    ],
    initContainers: [
      {
        name: gitSyncContainer,
        image: source.image,
        ...(imagePullPolicy === null ? {} : { imagePullPolicy }),
        args: gitSyncArguments(source, commitSha),
        // The whole secret: the image reads its names of user and password in either spelling, and a secret that is
        // not there keeps the container from starting, with the kubelet's words.
        ...(source.credentialsSecret === null
          ? {}
          : { envFrom: [{ secretRef: { name: source.credentialsSecret } }] }),
        volumeMounts: [
          { name: dagsVolume, mountPath: gitRoot },
          { name: gitTmpVolume, mountPath: '/tmp' },
          ...(hasSecret ? [{ name: gitSecretVolume, mountPath: gitSecretPath, readOnly: true }] : []),
        ],
      },
    ],
  }
}

function gitSyncArguments(source: GitSource, commitSha: string): string[] {
  return [
    `--repo=${source.repo}`,
    `--ref=${commitSha}`,
    `--root=${gitRoot}`,
    `--link=${gitSyncLink}`,
    `--depth=${source.depth}`,
    `--submodules=${source.submodules}`,
    '--one-time',
    // A server that is away for a moment does not cost the attempt; one that refuses is told after a few seconds.
    '--init-period=1s',
    '--max-failures=5',
  ]
}

/** Key and known hosts in one place, under the names that the sync image looks for. */
function secretVolume(source: GitSource, secret: string): V1Volume {
  const knownHosts = { key: 'known_hosts', path: 'known_hosts' }
  return {
    name: gitSecretVolume,
    projected: {
      // Readable by whatever user the container has: it is mounted there alone. An fsGroup would do too, but the kubelet
      // would give that group to every other volume of the pod, file by file.
      defaultMode: 0o444,
      sources: [
        {
          secret: {
            name: secret,
            items: [
              { key: 'gitSshKey', path: 'ssh' },
              ...(source.knownHostsConfigMap === null ? [knownHosts] : []),
            ],
          },
        },
        ...(source.knownHostsConfigMap === null
          ? []
          : [{ configMap: { name: source.knownHostsConfigMap, items: [knownHosts] } }]),
      ],
    },
  }
}
