// `branchline pods render`: what each task of a Dag would be in a cluster, as YAML; Airflow's `generate-dag-yaml`. It
// needs neither cluster nor database: the Dags are loaded from their sources, as a scheduler loads them.
import { Command, Option } from 'commander'
import { loadConfig } from '../../runtime/config.ts'
import type { Config } from '../../runtime/config-table.ts'
import { InvalidInputError, messageOf, NotFoundError, PodSpecError } from '../../runtime/errors.ts'
import type { LoadedDag } from '../../runtime/loader/load-result.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import { instant, jsonObject, nameAndValue } from '../command.ts'
import { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import { type ClusterOptions, openCluster, withClusterOptions } from './cluster.ts'
import type { RenderedTask } from './render-dag.ts'

interface Options extends ClusterOptions {
  date?: string
  runId?: string
  params?: Record<string, unknown>
  param?: Record<string, unknown>
  results?: Record<string, unknown>
  output: string
  server?: boolean
  diff?: string
  config?: string
}

/** Airflow's is `airflow_yaml_output`. */
const defaultFolder = 'branchline_yaml_output'

export function podsRenderCommand(terminal: Terminal): Command {
  const command = new Command('render')
    .description("Write what a Dag's tasks would be in a cluster as YAML, without cluster and database")
    .argument('<dag>', 'a dag_id, or the file of a Dag module')
    .argument('[task_id]', 'default: every task that would have a pod')
    .option('--date <time>', 'logical date of the run (default: today)', instant)
    .option('--run-id <run_id>', 'default: made of the date')
    .option('--params <json>', "params of the run, over the Dag's defaults", jsonObject)
    .addOption(
      new Option('--param <name=value>', 'one param; may be repeated; the value is JSON or text')
        .argParser(nameAndValue)
        .conflicts('params'),
    )
    .option('--results <json>', 'task_id → its result, for templates that name inputs', jsonObject)
    .option('-o, --output <directory>', "where the files are written; '-' prints them", defaultFolder)
    .option('--server', 'have the API server check each, without creating it (a dry run)')
    .addOption(
      new Option('--diff <commit>', 'print what differs from another commit, and write nothing').conflicts(
        'server',
      ),
    )
    .option('--config <path>', 'configuration file')
  return withClusterOptions(command).action(
    async (wanted: string, taskId: string | undefined, options: Options) => {
      const config = loadConfig({ env: process.env, flags: { config: options.config } }).values
      if (options.diff === undefined) await render(terminal, config, { wanted, taskId, options })
      else await showDifference(terminal, config, { wanted, taskId, options, commit: options.diff })
    },
  )
}

interface Request {
  wanted: string
  taskId: string | undefined
  options: Options
}

async function render(
  terminal: Terminal,
  config: Config,
  { wanted, taskId, options }: Request,
): Promise<void> {
  const { findSource } = await import('./render-source.ts')
  const source = await findSource(config, wanted, options.output)
  const { tasks, notes } = await renderSource({ terminal, config, source, wanted, taskId, options })
  if (source.isDirty)
    notes.push(`there are changes that commit ${source.commitSha!.slice(0, 12)} does not have`)
  for (const note of notes) terminal.note(note)
  if (options.output === '-') terminal.print(tasks.map(({ file }) => file.text.trimEnd()).join('\n---\n'))
  else {
    const { writeFiles } = await import('./render-dag.ts')
    terminal.print(...(await writeFiles(options.output, tasks)))
  }
  if (options.server) await checkAtServer(terminal, options, tasks)
}

/** The same from two commits, with what always differs left out. */
async function showDifference(
  terminal: Terminal,
  config: Config,
  { wanted, taskId, options, commit }: Request & { commit: string },
): Promise<void> {
  const { atCommit, findSource } = await import('./render-source.ts')
  const { diffFiles } = await import('./render-diff.ts')
  const source = await findSource(config, wanted)
  if (source.commitSha === null)
    throw new InvalidInputError(`${source.root} is no Git checkout, so there is no commit to compare with`)
  const common = { terminal, config, wanted, taskId, options, isCompared: true }
  const before = await atCommit(source.root, commit, (root, commitSha) =>
    renderSource({ ...common, source: { ...source, root, commitSha }, mayBeAbsent: true }),
  )
  const after = await renderSource({ ...common, source })
  for (const note of after.notes) terminal.note(note)
  const difference = await diffFiles(
    before.tasks.map(({ file }) => file),
    after.tasks.map(({ file }) => file),
  )
  if (difference === '') terminal.note(`nothing differs from ${commit}`)
  else terminal.print(difference.trimEnd())
}

interface SourceRequest extends Request {
  terminal: Terminal
  config: Config
  source: import('./render-source.ts').RenderSource
  isCompared?: boolean
  /** The Dag may not have been there yet. */
  mayBeAbsent?: boolean
}

async function renderSource(request: SourceRequest): Promise<{ tasks: RenderedTask[]; notes: string[] }> {
  const { terminal, config, source, wanted, taskId, options } = request
  const { chooseDags, loadSource } = await import('./render-source.ts')
  const { readRenderSettings } = await import('./render-settings.ts')
  const { renderDag } = await import('./render-dag.ts')
  const loaded = await loadSource(source.root, config, terminal.interruption())
  let dags: LoadedDag[]
  try {
    dags = chooseDags(loaded, wanted)
    if (taskId !== undefined) for (const dag of dags) checkTask(dag, taskId)
    checkResults(dags, Object.keys(options.results ?? {}))
  } catch (error) {
    if (request.mayBeAbsent && error instanceof NotFoundError) return { tasks: [], notes: [] }
    throw error
  }
  const settings = await readRenderSettings(config, source.origin)
  const notes = Object.entries(settings.standIns).map(
    ([key, value]) => `${key} is not set: ${value} stands for it`,
  )
  const tasks: RenderedTask[] = []
  const faults: string[] = []
  for (const dag of dags) {
    const rendered = await renderDag({
      dag,
      taskId,
      root: source.root,
      commitSha: source.commitSha,
      config,
      settings,
      date: options.date ?? startOfToday(),
      runId: options.runId,
      params: options.params ?? options.param ?? {},
      results: options.results ?? {},
      isCompared: request.isCompared ?? false,
    })
    tasks.push(...rendered.tasks)
    notes.push(...rendered.notes)
    faults.push(...rendered.faults)
  }
  if (faults.length > 0) throw new PodSpecError(faults.join('\n'))
  return { tasks, notes }
}

function checkTask({ dag_id, manifest }: LoadedDag, taskId: string): void {
  const ids = manifest.tasks.map(({ task_id }) => task_id)
  if (ids.includes(taskId)) return
  throw new NotFoundError(
    `Dag '${dag_id}' has no task '${taskId}'.${didYouMean(taskId, ids)} It has ${ids.join(', ')}.`,
    { details: { dag_id, task_id: taskId, task_ids: ids } },
  )
}

/** @throws InvalidInputError where `--results` names a task that none of them has */
function checkResults(dags: readonly LoadedDag[], given: readonly string[]): void {
  const ids = dags.flatMap(({ manifest }) => manifest.tasks.map(({ task_id }) => task_id))
  const unknown = given.find((id) => !ids.includes(id))
  if (unknown === undefined) return
  throw new InvalidInputError(
    `--results names the task '${unknown}', which there is not.${didYouMean(unknown, ids)} There is ${ids.join(', ')}.`,
    { details: { task_id: unknown, task_ids: ids } },
  )
}

async function checkAtServer(
  terminal: Terminal,
  options: Options,
  tasks: readonly RenderedTask[],
): Promise<void> {
  const { dryRun } = await import('./render-dry-run.ts')
  const client = await openCluster(options)
  try {
    for (const { file, objects, action } of tasks) {
      try {
        terminal.note(`${file.name}: ${await dryRun(client, objects, action)}`)
      } catch (error) {
        terminal.note(`${file.name}: ${messageOf(error)}`)
        terminal.exitCode = ExitCode.failed
      }
    }
  } finally {
    client.close()
  }
}

/** In UTC, so that the same day has the same files. */
function startOfToday(): string {
  return `${new Date().toISOString().slice(0, 10)}T00:00:00.000Z`
}
