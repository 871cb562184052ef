// (k) What a pod waits for before its task can begin: the init container's pull of the run's commit, 5,000 files at
// depth 1, over HTTP from a Git server beside the cluster, as processes in a container of the sync image.
//
// Floor: `git clone --depth 1` in the same container, in turn before and after it.

import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { serveGitOverHttp } from '../../test/support/git-server.ts'
import { shellPod } from '../../test/support/kubernetes-pods.ts'
import { runBarePods } from '../floor/bare-pods.ts'
import type { BenchCase, BenchContext } from '../support/bench-case.ts'
import { git } from '../support/git-repository.ts'
import { createPodPlace, type PodPlace } from '../support/pod-system.ts'
import { createSampleRepository, memoryDirectory, repositorySizes } from '../support/sample-repository.ts'

const username = 'bench'
const password = 'a-password'

export const podCheckout: BenchCase = {
  letter: 'k',
  name: 'pod-checkout',
  async measure(context) {
    const { isQuick } = context
    await using place = await createPodPlace('checkout')
    await using memory = await memoryDirectory(context.directory)
    await createSampleRepository(memory.path, 'big', isQuick)
    const commit = await git(memory.path, ['--git-dir=remote.git', 'rev-parse', 'main'])
    const { address } = place.cluster
    await using server = await serveGitOverHttp({ folder: memory.path, username, password, address })
    const sync =
      `/git-sync --repo=${server.url('remote.git')} --ref=${commit} --root=/git --link=current --depth=1 ` +
      '--submodules=recursive --one-time --init-period=1s --max-failures=5 2> /tmp/said || cat /tmp/said'
    const clone = `git clone --quiet --depth 1 ${server.urlWithPassword('remote.git')} /floor/files`
    const values: number[] = []
    const floors: number[] = []
    const rounds = isQuick ? 2 : 9
    for (let round = -1; round < rounds; round += 1) {
      const isSyncFirst = round % 2 === 0
      const commands = isSyncFirst ? [sync, clone] : [clone, sync]
      const times = await timesOf(context, place, `round-${round + 1}`, commands)
      if (round < 0) continue
      values.push(times[isSyncFirst ? 0 : 1]!)
      floors.push(times[isSyncFirst ? 1 : 0]!)
    }
    const settings = { ...repositorySizes.big, depth: 1 }
    const target = 'floor + 200 ms'
    return [{ name: 'k-pod-checkout', unit: 'ms', values, floors, target, settings }]
  },
}

/** Milliseconds that each of the commands takes, one after another in one container. */
async function timesOf(
  { signal }: BenchContext,
  { client, cluster, namespace }: PodPlace,
  name: string,
  commands: readonly string[],
): Promise<number[]> {
  const script = [
    'set -e',
    'at=$(date +%s%N)',
    ...commands.flatMap((command) => [command, 'now=$(date +%s%N); echo $((now - at)); at=$now']),
  ]
  const pod = shellPod(name, cluster.images.sync, script.join('\n'))
  const [base] = pod.spec!.containers
  base!.env = [
    { name: 'GITSYNC_USERNAME', value: username },
    { name: 'GITSYNC_PASSWORD', value: password },
  ]
  const folders = ['git', 'floor']
  base!.volumeMounts = folders.map((folder) => ({ name: folder, mountPath: `/${folder}` }))
  pod.spec!.volumes = folders.map((folder) => ({ name: folder, emptyDir: {} }))
  await runBarePods({
    ...{ client, namespace: namespace.name, pods: [pod], concurrency: 1, signal },
    isKept: true,
  })
  const said = await text(Readable.from(client.podLog(namespace.name, name, { container: 'base' })))
  await client.deletePod(namespace.name, name, { gracePeriodSeconds: 0 })
  const times = said.trim().split('\n').map(Number)
  if (times.length !== commands.length || times.some(Number.isNaN)) throw new Error(`the pod said: ${said}`)
  return times.map((nanoseconds) => nanoseconds / 1e6)
}
