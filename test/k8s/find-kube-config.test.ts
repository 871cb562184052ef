import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findKubeConfig, type KubeConfigChoice } from '../../k8s/client/find-kube-config.ts'
import { connectKubernetes } from '../../k8s/connect.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const two = {
  clusters: [
    { name: 'home', cluster: { server: 'https://home.test:6443/' } },
    { name: 'away', cluster: { server: 'https://away.test', 'certificate-authority': 'away.crt' } },
  ],
  users: [
    { name: 'me', user: { token: 'secret' } },
    { name: 'robot', user: { tokenFile: 'robot-token', exec: { command: './sign-in' } } },
  ],
  contexts: [
    { name: 'staging', context: { cluster: 'home', user: 'me' } },
    { name: 'production', context: { cluster: 'away', user: 'robot', namespace: 'dags' } },
  ],
  'current-context': 'staging',
}

function write(name: string, content: object | string): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

function find(choice: Partial<KubeConfigChoice>) {
  const serviceAccount = join(folder, 'serviceaccount')
  return findKubeConfig({
    inCluster: null,
    configFile: null,
    context: null,
    environment: {},
    serviceAccount,
    ...choice,
  })
}

function makeServiceAccount(): NodeJS.ProcessEnv {
  mkdirSync(join(folder, 'serviceaccount'))
  write('serviceaccount/token', 'token')
  write('serviceaccount/ca.crt', 'ca')
  write('serviceaccount/namespace', 'mine\n')
  return { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }
}

test('the current context is taken, or the one that is named', () => {
  const configFile = write('config', two)
  expect(find({ configFile })).toMatchObject({
    context: 'staging',
    server: 'https://home.test:6443',
    namespace: 'default',
    configFile,
  })
  expect(find({ configFile, context: 'production' })).toMatchObject({
    server: 'https://away.test',
    namespace: 'dags',
  })
})

test('paths in a kubeconfig are from its own folder', () => {
  const { cluster, user } = find({ configFile: write('config', two), context: 'production' })
  expect(cluster['certificate-authority']).toBe(join(folder, 'away.crt'))
  expect(user).toMatchObject({
    tokenFile: join(folder, 'robot-token'),
    exec: { command: join(folder, 'sign-in') },
  })
})

test('in a pod its service account is taken, unless KUBECONFIG is set', () => {
  const environment = makeServiceAccount()
  expect(find({ environment })).toMatchObject({
    context: null,
    configFile: null,
    server: 'https://[fd00::1]:443',
    namespace: 'mine',
  })
  const file = write('config', two)
  expect(find({ environment: { ...environment, KUBECONFIG: file } })).toMatchObject({ configFile: file })
  expect(find({ environment: { ...environment, KUBECONFIG: file }, inCluster: true })).toMatchObject({
    configFile: null,
  })
})

test('outside of a pod ~/.kube/config is taken', () => {
  mkdirSync(join(folder, '.kube'))
  const file = write('.kube/config', two)
  expect(find({ environment: { HOME: folder } })).toMatchObject({ configFile: file })
  expect(find({ configFile: '~/.kube/config', environment: { HOME: folder } })).toMatchObject({
    configFile: file,
  })
})

test('of the files of KUBECONFIG the first that has a name counts, and a missing one is passed over', () => {
  const first = write('first', { contexts: [{ name: 'staging', context: { cluster: 'away' } }] })
  const second = write('second', two)
  const found = find({ environment: { KUBECONFIG: `${first}:${join(folder, 'none')}:${second}` } })
  expect(found).toMatchObject({
    context: 'staging',
    server: 'https://away.test',
    configFile: `${first}, ${second}`,
    user: {},
  })
})

test.each<[string, string | object | null, Partial<KubeConfigChoice>, RegExp]>([
  ['a file that is not there', null, {}, /kubeconfig file \S+config cannot be read: ENOENT/],
  ['a file that is no YAML', 'a: [1\nb: 2', {}, /kubeconfig file \S+config is not YAML: .*line 2/s],
  ['a file that is no kubeconfig', 'hello', {}, /\S+config is no kubeconfig/],
  ['a list that is none', { contexts: 'all' }, {}, /config is no kubeconfig: contexts is no list/],
  ['an entry without a name', { users: [{ user: {} }] }, {}, /users\[0\] has no name/],
  [
    'an unknown context',
    two,
    { context: 'producton' },
    /config has no context 'producton'\. Did you mean 'production'\? It has: staging, production/,
  ],
  [
    'no current context',
    { ...two, 'current-context': '' },
    {},
    /has no current-context\. Name one of its contexts: staging, production/,
  ],
  [
    'an unknown cluster',
    { ...two, clusters: [two.clusters[1]] },
    {},
    /context 'staging' of \S+config names the cluster 'home', which the file does not have\..* It has: away/,
  ],
  [
    'an unknown user',
    { ...two, users: [{ name: 'mo', user: {} }] },
    {},
    /names the user 'me'.*Did you mean 'mo'\?/,
  ],
  [
    'a context without a cluster',
    { ...two, contexts: [{ name: 'staging' }] },
    {},
    /context 'staging' of \S+ names no cluster/,
  ],
  [
    'a cluster without a server',
    { ...two, clusters: [{ name: 'home' }] },
    {},
    /cluster 'home' of \S+config has the server undefined\. Give it the URL/,
  ],
  [
    'an impersonated group',
    { ...two, users: [{ name: 'me', user: { as: 'you', 'as-groups': ['all'] } }] },
    {},
    /user 'me' of \S+config has 'as-groups', which is not supported/,
  ],
  [
    'a server that is no URL',
    { ...two, clusters: [{ name: 'home', cluster: { server: 'home.test' } }] },
    {},
    /has the server "home\.test"/,
  ],
])('%s is told with its file', (_name, content, choice, message) => {
  const configFile = content === null ? join(folder, 'config') : write('config', content)
  expect(() => find({ configFile, ...choice })).toThrow(
    expect.objectContaining({ code: 'CONFIG', message: expect.stringMatching(message) }),
  )
})

test('without any cluster it is told where one was looked for', () => {
  expect(() => find({ environment: { HOME: folder } })).toThrow(
    /no service account in \S+serviceaccount, KUBECONFIG is not set, and there is no file \S+\.kube\/config/,
  )
  expect(() => find({ inCluster: true })).toThrow(/KUBERNETES_SERVICE_HOST .* this is not a pod/)
  const environment = makeServiceAccount()
  rmSync(join(folder, 'serviceaccount/token'))
  expect(() => find({ inCluster: true, environment })).toThrow(
    /no file \S+token\..*automountServiceAccountToken/,
  )
})

test('in-cluster access and a file contradict each other', () => {
  expect(() => find({ inCluster: true, configFile: 'x' })).toThrow(
    /kubernetes_in_cluster is true, and a kubeconfig file .* is asked for too/,
  )
  expect(() => find({ inCluster: true, context: 'x' })).toThrow(
    /kubernetes_in_cluster is true, and a context/,
  )
})

test.each([
  [
    'certificate-authority-data',
    { cluster: { 'certificate-authority-data': Buffer.from('no').toString('base64') } },
    /certificate-authority-data of context 'c' of \S+config is not usable/,
  ],
  [
    'certificate-authority',
    { cluster: { 'certificate-authority': 'none.crt' } },
    /credentials of context 'c' of \S+config cannot be read: ENOENT.*none\.crt/,
  ],
  [
    'client-certificate',
    { user: { 'client-certificate': 'config', 'client-key': 'config' } },
    /client-certificate \S+config of context 'c' of \S+ is not usable/,
  ],
  ['token file', { user: { tokenFile: 'no-token' } }, /cannot be read: ENOENT.*no-token/],
  [
    'program',
    { user: { exec: { command: './no-program' } } },
    /the program '\S+no-program', which has the credentials of context 'c' of \S+, failed/,
  ],
  [
    'program that fails',
    { user: { exec: { command: 'sh', args: ['-c', 'echo no luck >&2; exit 1'] } } },
    /the program 'sh', .* failed: no luck/,
  ],
])(
  'a %s that cannot be used is told with its file',
  async (_name, { cluster = {}, user = {} }: { cluster?: object; user?: object }, message) => {
    const configFile = write('config', {
      clusters: [{ name: 'c', cluster: { server: 'https://c.test', ...cluster } }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'c',
    })
    await expect(
      connectKubernetes({ inCluster: null, configFile, context: null, environment: {} }),
    ).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(message) })
  },
)
