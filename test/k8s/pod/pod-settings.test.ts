import { expect, test } from 'vitest'
import { podSettings } from '../../../k8s/pod/pod-settings.ts'
import { loadConfig } from '../../../runtime/config.ts'
import { ConfigError } from '../../../runtime/errors.ts'

const usual = {
  execution_api_url: 'http://branchline-web.branchline.svc:8080/',
  worker_image: 'registry.example/worker:1',
  git_sync_image: 'registry.example/sync:1',
  git_sync_repo: 'https://git.example/team/dags.git',
}

function settingsOf(own: Record<string, unknown>) {
  const config = loadConfig({
    env: {},
    cwd: '/nowhere',
    readFile: () => JSON.stringify({ data_dir: '/nowhere', ...usual, ...own }),
  })
  return podSettings(config.values, 'dags')
}

test('what the configuration says about pods', () => {
  expect(settingsOf({ kubernetes_namespaces: ['heavy', 'dags'], task_kill_grace: '30s' })).toEqual({
    namespace: 'dags',
    namespaces: ['dags', 'heavy'],
    executionApiUrl: 'http://branchline-web.branchline.svc:8080',
    image: 'registry.example/worker:1',
    imagePullPolicy: null,
    imagePullSecrets: [],
    serviceAccountName: null,
    dagsPath: '/opt/branchline/dags',
    dagsSource: {
      type: 'git',
      image: 'registry.example/sync:1',
      repo: 'https://git.example/team/dags.git',
      depth: 1,
      submodules: 'recursive',
      credentialsSecret: null,
      sshKeySecret: null,
      knownHostsConfigMap: null,
    },
    terminationGracePeriodSeconds: 45,
  })
})

const withoutGit = { git_sync_image: null, git_sync_repo: null }

test('each other source of Dags', () => {
  const sourceOf = (own: Record<string, unknown>) => settingsOf({ ...withoutGit, ...own }).dagsSource
  expect(sourceOf({ worker_dags_source: 'image' })).toEqual({ type: 'image' })
  expect(
    sourceOf({
      worker_dags_source: 'volume_claim',
      worker_dags_volume_claim: 'dags',
      worker_dags_volume_sub_path: 'team',
    }),
  ).toEqual({ type: 'volume_claim', claim: 'dags', subPath: 'team' })
  expect(sourceOf({ worker_dags_source: 'host_path', worker_dags_host_path: '/srv/dags/' })).toEqual({
    type: 'host_path',
    path: '/srv/dags',
  })
})

test.each(['git@git.example:team/dags.git', 'ssh://git@git.example/team/dags.git', 'file:///srv/dags.git'])(
  'a repository without a secret in its name: %s',
  (git_sync_repo) => {
    expect(settingsOf({ git_sync_repo }).dagsSource).toMatchObject({ repo: git_sync_repo })
  },
)

test('without worker_image there may be a template', () => {
  expect(settingsOf({ worker_image: null, pod_template_file: '/etc/pod.yaml' }).image).toBe(null)
})

test.each<[Record<string, unknown>, RegExp]>([
  [{ worker_image: null }, /needs worker_image, or pod_template_file/],
  [{ execution_api_url: null }, /the executor kubernetes needs execution_api_url/],
  [
    { execution_api_url: 'branchline-web:8080' },
    /execution_api_url is "branchline-web:8080", but must be a URL/,
  ],
  [{ git_sync_image: null }, /worker_dags_source 'git' needs git_sync_image/],
  [{ git_sync_repo: null }, /worker_dags_source 'git' needs git_sync_repo/],
  [
    { worker_dags_source: 'image' },
    /git_sync_image is set, but worker_dags_source is 'image'.*leave git_sync_image out/,
  ],
  [{ ...withoutGit, worker_dags_source: 'volume_claim' }, /'volume_claim' needs worker_dags_volume_claim/],
  [{ ...withoutGit, worker_dags_source: 'host_path' }, /'host_path' needs worker_dags_host_path/],
  [
    { ...withoutGit, worker_dags_source: 'host_path', worker_dags_host_path: 'dags' },
    /worker_dags_host_path is "dags", but must be an absolute path/,
  ],
  [{ worker_dags_volume_claim: 'dags' }, /set worker_dags_source to 'volume_claim'/],
  [{ worker_dags_path: 'dags' }, /worker_dags_path is "dags", but must be an absolute path/],
  [{ git_sync_repo: 'https://u:p@git.example/dags.git' }, /git_sync_repo has a user or password in it/],
  [{ git_sync_repo: 'https://token@git.example/dags.git' }, /name that in git_sync_credentials_secret/],
  [{ git_sync_known_hosts_config_map: 'hosts' }, /git_sync_ssh_key_secret is not/],
])('settings that do not go together stop the start: %j', (own, message) => {
  expect(() => settingsOf(own)).toThrow(message)
  expect(() => settingsOf(own)).toThrow(ConfigError)
})
