// Who asks: the pod's token → the row of the launch ledger that it is the pod of.
import type { FastifyRequest } from 'fastify'
import type { PodIdentification } from '../../../k8s/pod-identity.ts'
import { AttemptNotCurrentError, UnauthenticatedError } from '../../../runtime/errors.ts'
import type { Queryable } from '../../../scheduler/database/connection.ts'
import {
  bindPodUid,
  type ExecutionPodRow,
  readExecutionPod,
} from '../../../scheduler/database/queries/execution-pod.ts'

/**
 * @throws UnauthenticatedError with what is wrong with the token, or that the ledger has no such pod
 */
export async function authenticatePod(
  deps: { db: Queryable; identification: PodIdentification },
  request: FastifyRequest,
): Promise<ExecutionPodRow> {
  const { db, identification } = deps
  const { namespace, podName, podUid } = await identification.identify(bearerToken(request))
  const pod = await readExecutionPod(db, { namespace, podName, uid: podUid })
  if (pod === undefined) {
    throw new UnauthenticatedError(
      `the ledger has no pod '${podName}' of namespace '${namespace}': schedulers and servers use different databases, or nobody of this deployment made it`,
    )
  }
  if (pod.uid === podUid || (pod.uid === null && (await bindPodUid(db, pod, podUid)))) return pod
  throw new UnauthenticatedError(
    `pod '${podName}' of namespace '${namespace}' is not the one that was made for the attempt: its uid is ${podUid}, and that one's is another`,
  )
}

/** @throws AttemptNotCurrentError */
export function notCurrent(pod: ExecutionPodRow): never {
  throw new AttemptNotCurrentError(
    `attempt ${pod.try_number} of task '${pod.task_id}' is not the current one of its task instance any more: end it, nothing of it is kept`,
    { details: { dag_run_id: pod.dag_run_id, task_id: pod.task_id, try_number: pod.try_number } },
  )
}

function bearerToken({ headers }: FastifyRequest): string {
  const token = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (token !== undefined) return token
  throw new UnauthenticatedError(
    'the request has no token: Authorization: Bearer …, with the one projected into the pod',
  )
}
