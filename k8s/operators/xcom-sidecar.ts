// What an operator's pod has so that its result is taken: a volume that `base` writes return.json into, and a native
// sidecar (an init container that goes on) that is told to end once all other containers have ended, and then sends
// the file by the task execution API. So nobody needs the right to execute commands in pods, a container that was
// killed leaves nobody waiting, and the size is limited by the deployment alone.
//
// The pod's token is mounted in the sidecar only: `base` runs an image of somebody else.
import { workerVariables } from '../../runtime/execution-api.ts'
import type {
  V1Container,
  V1SecurityContext,
  V1Volume,
  V1VolumeMount,
} from '../../runtime/kubernetes-types.ts'
import { tokenOfThisPod, tokenPath } from '../pod/attempt-pod.ts'
import type { PodSettings } from '../pod/pod-settings.ts'

export const xcomContainer = 'branchline-xcom'

const xcomVolume = 'branchline-xcom'
/** Where the file is looked for; the other is Airflow's place, and the same volume. */
const xcomPath = '/branchline/xcom'
const airflowXcomPath = '/airflow/xcom'

/** In `base`. */
export const xcomMounts: V1VolumeMount[] = [
  { name: xcomVolume, mountPath: xcomPath },
  { name: xcomVolume, mountPath: airflowXcomPath },
]

export const xcomVolumes: V1Volume[] = [{ name: xcomVolume, emptyDir: {} }, tokenOfThisPod]

/**
 * A shell waits, and not our program: it is there within a millisecond, so that no SIGTERM comes before it is heeded,
 * however short `base` runs, and it takes a fiftieth of the memory. `wait` returns at the signal.
 */
const waitThenSend = 'trap : TERM; sleep infinity & wait; exec branchline xcom-sidecar'

interface SidecarInput {
  settings: Pick<PodSettings, 'executionApiUrl' | 'imagePullPolicy'>
  /** With our programs: the worker image. */
  image: string
  /** Of `base`, as the pod and the container say it: who may read what it writes. */
  user: Pick<V1SecurityContext, 'runAsUser' | 'runAsGroup'>
  securityContext: V1SecurityContext | null
}

export function xcomSidecar({ settings, image, user, securityContext }: SidecarInput): V1Container {
  return {
    name: xcomContainer,
    image,
    ...(settings.imagePullPolicy === null ? {} : { imagePullPolicy: settings.imagePullPolicy }),
    command: ['/bin/sh', '-c', waitThenSend],
    restartPolicy: 'Always',
    env: [
      { name: workerVariables.executionApiUrl, value: settings.executionApiUrl },
      { name: workerVariables.tokenFile, value: `${tokenPath}/token` },
      { name: workerVariables.xcomPath, value: xcomPath },
    ],
    volumeMounts: [
      { name: xcomVolume, mountPath: xcomPath, readOnly: true },
      { name: tokenOfThisPod.name, mountPath: tokenPath, readOnly: true },
    ],
    // It waits. A quota on requests wants some to be named.
    resources: { requests: { cpu: '1m', memory: '32Mi' } },
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: {
      ...(user.runAsUser === undefined ? {} : { runAsUser: user.runAsUser }),
      ...(user.runAsGroup === undefined ? {} : { runAsGroup: user.runAsGroup }),
      runAsNonRoot: user.runAsUser !== 0,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      seccompProfile: { type: 'RuntimeDefault' },
      ...securityContext,
    },
  }
}
