// Deletion as one question with a yes or no, for pods and every other kind.
import { KubernetesError } from '../../runtime/errors.ts'
import type { DeleteOptions } from './kubernetes-client.ts'
import type { Transport } from './transport.ts'

/**
 * True where the object was there and its deletion is asked for; false where it is gone, or where another object with
 * another uid has its name by now.
 */
export async function deleteCall(
  transport: Transport,
  { call, path }: { call: string; path: string },
  options: DeleteOptions = {},
): Promise<boolean> {
  const { gracePeriodSeconds, uid, propagation, signal } = options
  const body = {
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(uid === undefined ? {} : { preconditions: { uid } }),
    ...(propagation === undefined ? {} : { propagationPolicy: propagation }),
  }
  try {
    await transport.call({ call, method: 'DELETE', path, body: JSON.stringify(body), signal })
    return true
  } catch (error) {
    const status = error instanceof KubernetesError ? error.status : null
    // Without the precondition a 409 is somebody else's write at the same time, and the caller's to try again.
    if (status === 404 || (status === 409 && uid !== undefined)) return false
    throw error
  }
}
