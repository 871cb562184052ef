// Dags of pods, as text: what the benchmark's cases on a cluster run.
import { fakeNodeScheduling } from '../../test/support/cluster.ts'

/** `width` pods of the same kind at once; on fake nodes, where no process runs. Paused until it is measured. */
export function fakePodsModule(dagId: string, options: { width: number; maxActiveRuns: number }): string {
  const pod = {
    image: 'localhost/none:1',
    // There is nothing to be read of a pod without a process, and its events are not asked for.
    getLogs: false,
    logEventsOnStartup: false,
    startupTimeoutSeconds: 3_600,
    terminationGracePeriod: 0,
    ...fakeNodeScheduling,
  }
  const { width, maxActiveRuns } = options
  const ofDag = { maxActiveTasks: width, maxActiveRuns, isPausedUponCreation: true }
  return `import { dag, pod } from 'branchline'

export default dag('${dagId}', ${JSON.stringify(ofDag)}, () => {
  for (let n = 0; n < ${width}; n += 1) pod(\`pod-\${n}\`, ${JSON.stringify(pod)})
})
`
}
