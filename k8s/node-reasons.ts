// What Kubernetes says where a node, and not what runs on it, ended a pod: the words by which such an end is told from a
// task's own.

/** With which a node ends a pod, whatever runs in it. A deadline of the pod's own is not among them. */
export const nodeReasons: ReadonlySet<string> = new Set([
  ...['Evicted', 'NodeLost', 'NodeShutdown', 'Shutdown', 'Terminated', 'Preempting', 'NodeAffinity'],
  ...['UnexpectedAdmissionError', 'OutOfcpu', 'OutOfmemory', 'OutOfpods', 'OutOfephemeral-storage'],
])

/** Of a container whose end the node did not see: it was down. */
export const unseenEndReasons: ReadonlySet<string> = new Set(['ContainerStatusUnknown', 'Unknown'])
