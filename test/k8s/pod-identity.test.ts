import { expect, test } from 'vitest'
import { createPodIdentification } from '../../k8s/pod-identity.ts'
import { UnauthenticatedError } from '../../runtime/errors.ts'
import { createPodTokens, type PodTokens, testIssuer } from '../support/pod-tokens.ts'

const pod = { namespace: 'tasks', podName: 'p', podUid: 'u' }

/** A cluster whose keys may change and whose API server may be away. */
function cluster(...keys: PodTokens[]) {
  const state = { keys, isAway: false, asked: 0, now: Date.now() }
  const identification = createPodIdentification({
    keySet: async () => {
      state.asked += 1
      if (state.isAway) throw new Error('the API server is away')
      return { keys: state.keys.map(({ jwk }) => jwk as Record<string, unknown>) }
    },
    issuer: async () => testIssuer,
    now: () => state.now,
  })
  const refusal = async (token: string): Promise<string> => {
    const error = await identification.identify(token).then(
      () => undefined,
      (thrown: Error) => thrown,
    )
    expect(error).toBeInstanceOf(UnauthenticatedError)
    expect(error!.message).not.toContain(token)
    return error!.message
  }
  return { state, refusal, ...identification }
}

test('a projected token names its pod', async () => {
  const tokens = await createPodTokens()
  const { identify } = cluster(tokens)
  expect(await identify(await tokens.sign(pod))).toEqual(pod)
})

test('each check that fails is said, without the token', async () => {
  const tokens = await createPodTokens()
  const { refusal } = cluster(tokens)
  expect(await refusal(await tokens.sign({ ...pod, audience: 'vault' }))).toContain("audience 'branchline'")
  expect(await refusal(await tokens.sign({ ...pod, issuer: 'https://other' }))).toContain('another cluster')
  expect(await refusal(await tokens.sign({ ...pod, expiresInSeconds: -120 }))).toContain('expired')
  expect(await refusal('nonsense')).toContain('no JWT')
  const stranger = await createPodTokens('other-key')
  expect(await refusal(await stranger.sign(pod))).toContain('of another cluster')
  const forger = await createPodTokens(tokens.kid)
  expect(await refusal(await forger.sign(pod))).toContain('signature')
})

test('a token without an end, or of no pod, is refused', async () => {
  const tokens = await createPodTokens()
  const { refusal } = cluster(tokens)
  const exp = Math.floor(Date.now() / 1_000) + 60
  const base = { iss: testIssuer, aud: ['branchline'] }
  const claims = { namespace: 'tasks', pod: { name: 'p', uid: 'u' } }
  expect(await refusal(await tokens.signRaw({ ...base, 'kubernetes.io': claims }))).toContain('exp')
  for (const other of [undefined, { namespace: 'tasks' }, { ...claims, pod: { name: 'p' } }]) {
    expect(await refusal(await tokens.signRaw({ ...base, exp, 'kubernetes.io': other }))).toContain(
      'of no pod',
    )
  }
})

test('a new key of the cluster is found, and nonsense asks for no more than a few', async () => {
  const [old, fresh] = [await createPodTokens('old'), await createPodTokens('new')]
  const { identify, refusal, state } = cluster(old)
  await identify(await old.sign(pod))
  state.keys = [old, fresh]
  state.now += 6_000
  expect(await identify(await fresh.sign(pod))).toEqual(pod)
  expect(state.asked).toBe(2)
  const stranger = await (await createPodTokens('stranger')).sign(pod)
  for (let time = 0; time < 20; time += 1) await refusal(stranger)
  expect(state.asked).toBe(2)
  state.now += 6_000
  await Promise.all([refusal(stranger), refusal(stranger)])
  expect(state.asked).toBe(3)
})

test('keys are believed while the API server is away, and a withdrawn one no longer than ten minutes', async () => {
  const tokens = await createPodTokens()
  const { identify, refusal, state } = cluster(tokens)
  const token = await tokens.sign(pod)
  await identify(token)
  state.isAway = true
  state.now += 700_000
  expect(await identify(token)).toEqual(pod)
  state.isAway = false
  state.keys = []
  state.now += 6_000
  await identify(token)
  expect(await refusal(token)).toContain('of another cluster')
})

test('without keys the API server is to blame, and not the pod', async () => {
  const tokens = await createPodTokens()
  const { identify, state } = cluster(tokens)
  state.isAway = true
  await expect(identify(await tokens.sign(pod))).rejects.toThrow('the API server is away')
  state.isAway = false
  expect(await identify(await tokens.sign(pod))).toEqual(pod)
})
