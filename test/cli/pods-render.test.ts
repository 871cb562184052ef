// `branchline pods render`: the Dags of a repository, as YAML, without cluster and database.
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseYamlDocuments } from '../../k8s/yaml.ts'
import { cli } from './cli-process.ts'

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'branchline-render-')))
const repository = join(directory, 'repository')
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const module = (image: string) => `
  import { dag, job, pod, resource, task } from 'branchline'
  export default dag('sales', { params: { region: 'north' }, podOverride: { metadata: { labels: { team: 'a' } } } }, () => {
    const orders = task('extract', () => [1])
    task('special', { podTemplateFile: 'pods/gpu.yaml' }, () => 1)
    task('local', { executor: 'local' }, () => 1)
    const trained = pod('train', {
      image: '${image}',
      inputs: { orders },
      arguments: ['--day', '{{ ds }}', '--region', '{{ params.region }}', '{{ inputs.orders[0].id }}'],
      podTemplateFile: 'pods/train.yaml',
      doXcomPush: true,
    })
    job('resize', { image: 'resizer:2', completions: 3, after: [trained] })
    resource('map', { manifest: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'of-{{ ds }}' } } })
  })
`

const files: Record<string, string> = {
  'dags/sales.ts': module('trainer:4'),
  'dags/broken.ts': `import { dag } from 'branchline'\nexport default dag('broken', { nothing: 1 }, () => {})\n`,
  'pods/gpu.yaml':
    'kind: Pod\nmetadata: { name: gpu }\nspec: { nodeSelector: { pool: gpu }, containers: [{ name: base, image: gpu:1 }] }\n',
  'pods/train.yaml': 'spec: { priorityClassName: low, containers: [{ name: base }] }\n',
}
const write = (file: string, text: string) => {
  mkdirSync(dirname(join(repository, file)), { recursive: true })
  writeFileSync(join(repository, file), text)
}
const git = (...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
    cwd: repository,
    encoding: 'utf8',
  }).trim()

let commit: string
beforeAll(() => {
  for (const [file, text] of Object.entries(files)) write(file, text)
  git('init', '--quiet', '--initial-branch=main')
  git('add', '.')
  git('commit', '--quiet', '--message=first')
  git('remote', 'add', 'origin', 'https://git.example.com/dags.git')
  commit = git('rev-parse', 'HEAD')
})

const env = { BRANCHLINE_DATA_DIR: join(directory, 'data') }
const render = (args: string[], more: Record<string, string> = {}) =>
  cli(['pods', 'render', ...args], { cwd: repository, env: { ...env, ...more } })
// Tests look into pods freely.
// biome-ignore lint/suspicious/noExplicitAny: as said
const parse = (text: string): any[] => parseYamlDocuments(text, 'rendered')

test('every task that would have a pod is a file, under the names that Airflow gives', async () => {
  const { code, stderr, stdout } = await render(['sales', '--date', '2026-01-31T06:00Z'])
  expect(stderr).toContain("sales.local has no pod: its executor is 'local'")
  expect(stderr).toContain('worker_image is not set: <worker_image> stands for it')
  expect(code).toBe(0)
  const folder = join(repository, 'branchline_yaml_output')
  const names = ['extract', 'map', 'resize', 'special', 'train'].map(
    (task) => `sales_${task}_2026-01-31T06_00_00_plus_00_00.yml`,
  )
  expect(readdirSync(folder).sort()).toEqual(names)
  expect(stdout.trim().split('\n').sort()).toEqual(names.map((name) => join('branchline_yaml_output', name)))
  const read = (task: string) =>
    parse(readFileSync(join(folder, `sales_${task}_2026-01-31T06_00_00_plus_00_00.yml`), 'utf8'))[0]
  expect(read('extract')).toMatchObject({
    kind: 'Pod',
    metadata: { labels: { team: 'a', 'branchline.dev/commit_sha': commit } },
    spec: {
      initContainers: [{ name: 'git-sync-clone' }],
      containers: [{ name: 'base', image: '<worker_image>' }],
    },
  })
  expect(read('special').spec).toMatchObject({ nodeSelector: { pool: 'gpu' } })
  expect(read('train')).toMatchObject({
    spec: {
      priorityClassName: 'low',
      initContainers: [{ name: 'branchline-xcom', image: '<worker_image>' }],
      containers: [
        { image: 'trainer:4', args: ['--day', '2026-01-31', '--region', 'north', '<inputs.orders[0].id>'] },
      ],
    },
  })
  expect(read('train').metadata.labels).not.toHaveProperty('team')
  expect(read('resize')).toMatchObject({ kind: 'Job', spec: { completions: 3 } })
  expect(read('map')).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'of-2026-01-31' } })
  rmSync(folder, { recursive: true })
})

test('one task is printed, with the deployment’s settings, and params and results that are given', async () => {
  const settings = {
    BRANCHLINE_WORKER_IMAGE: 'worker:7',
    BRANCHLINE_KUBERNETES_NAMESPACE: 'jobs',
    BRANCHLINE_EXECUTION_API_URL: 'http://web:8080',
    BRANCHLINE_WORKER_DAGS_SOURCE: 'image',
  }
  const args = ['dags/sales.ts', 'train', '--date', '2026-02-01', '--run-id', 'mine', '--output', '-']
  const results = ['--param', 'region=south', '--results', '{"extract": [{"id": 5}]}']
  const { code, stdout, stderr } = await render([...args, ...results], settings)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^# dags\/sales\.ts, run mine, first attempt\.\n/)
  const [pod] = parse(stdout)
  expect(pod.metadata).toMatchObject({ namespace: 'jobs', annotations: { 'branchline.dev/run_id': 'mine' } })
  expect(pod.spec.initContainers[0].image).toBe('worker:7')
  expect(pod.spec.containers[0].args).toEqual(['--day', '2026-02-01', '--region', 'south', '5'])
  expect(pod.spec.containers[0].env).toEqual([{ name: 'orders', value: '[{"id":5}]' }])
})

test('each task that cannot be made is told by its name, all at once', async () => {
  write(
    'dags/wrong.ts',
    `import { dag, pod, task } from 'branchline'
    export default dag('wrong', {}, () => {
      task('fine', () => 1)
      pod('far', { image: 'a:1', namespace: 'nowhere' })
      task('untold', { podTemplateFile: 'pods/none.yaml' }, () => 1)
    })`,
  )
  const { code, stderr } = await render(['wrong', '--date', '2026-02-01'])
  rmSync(join(repository, 'dags/wrong.ts'))
  expect(code).not.toBe(0)
  expect(stderr).toMatch(/wrong\.far: .*'nowhere', which is not watched/)
  expect(stderr).toMatch(/wrong\.untold: the pod template pods\/none\.yaml is not in the run's commit/)
})

test('a result of no task, and a module that does not load, are told as such', async () => {
  const unknown = await render(['sales', 'train', '--results', '{"extrakt": 1}'])
  expect(unknown.stderr).toMatch(/--results names the task 'extrakt', which there is not.*'extract'/)
  const broken = await render(['dags/broken.ts'])
  expect(broken.stderr).toMatch(/dags\/broken\.ts could not be loaded:\n.*dags\/broken\.ts:2: .*nothing/)
  expect(broken.stderr).not.toContain('there is no Dag')
})

test('what was rendered is no change of the checkout', async () => {
  await render(['sales', '--date', '2026-02-01'])
  const again = await render(['sales', '--date', '2026-02-01'])
  expect(again.stderr).not.toContain('there are changes')
  rmSync(join(repository, 'branchline_yaml_output'), { recursive: true })
})

test('--diff shows what another commit would change, and nothing that always differs', async () => {
  write('dags/sales.ts', module('trainer:5'))
  write('dags/broken.ts', '')
  git('commit', '--all', '--quiet', '--message=second')
  const { code, stdout, stderr } = await render(['sales', '--date', '2026-01-31', '--diff', 'HEAD~1'])
  expect(code, stderr).toBe(0)
  const changes = stdout.split('\n').filter((line) => /^[-+](?![-+])/.test(line))
  expect(changes).toEqual(['-      image: trainer:4', '+      image: trainer:5'])
  expect(stdout).toContain('--- before/sales_train_2026-01-31T00_00_00_plus_00_00.yml')
  const same = await render(['sales', 'extract', '--diff', commit])
  expect(same).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringContaining(`nothing differs from ${commit}`),
  })
  expect(git('worktree', 'list').split('\n')).toHaveLength(1)
})

test('a Dag that is new is all new', async () => {
  write(
    'dags/new.ts',
    `import { dag, pod } from 'branchline'\nexport default dag('new', {}, () => { pod('p', { image: 'x' }) })\n`,
  )
  const { stdout } = await render(['new', '--diff', 'HEAD'])
  expect(stdout).toContain('new file mode')
  expect(stdout).toContain('+      image: x')
})

test.each<[string[], number, string]>([
  [['salse'], 3, "there is no Dag 'salse'"],
  [['sales', 'trainn'], 3, "Dag 'sales' has no task 'trainn'. Did you mean 'train'?"],
  [['sales', '--diff', 'nothing'], 1, "there is no commit 'nothing'"],
  [['sales', '--date', 'yesterday'], 2, "Write '2026-01-31'"],
  [['sales', '--run-id', 'a b'], 2, 'run_id "a b" is not valid'],
])('%j is refused', async (args, code, words) => {
  const result = await render([...args, '--output', '-'])
  expect(result.stderr).toContain(words)
  expect(result.code).toBe(code)
})

test('a Dag whose module does not load is told with the reason', async () => {
  write('dags/broken.ts', files['dags/broken.ts']!)
  const { stderr, code } = await render(['broken'])
  expect(code).toBe(3)
  expect(stderr).toContain('dags/broken.ts:2: ')
  expect(stderr).toContain("there is no option 'nothing'")
})

test('what a task instance would fail with is what the command fails with', async () => {
  write(
    'dags/bad.ts',
    `import { dag, pod } from 'branchline'\nexport default dag('bad', {}, () => { pod('p', { image: '{{ params.image }}' }) })\n`,
  )
  const missing = await render(['bad', '--output', '-'])
  expect(missing).toMatchObject({ code: 1, stdout: '' })
  expect(missing.stderr).toContain(
    "task 'p' of Dag 'bad', option 'image': {{ params.image }}: there is no field of params 'image'.",
  )
})
