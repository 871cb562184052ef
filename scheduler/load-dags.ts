// From the source to the database: has the loader read what is published, adds what only a scheduler can judge
// (schedules, executors), and writes the difference.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseOperatorTemplate } from '../k8s/operators/operator-template.ts'
import { templateFault } from '../k8s/pod/pod-template.ts'
import type { DagDefinitionError } from '../runtime/errors.ts'
import { messageOf, NotFoundError } from '../runtime/errors.ts'
import type { LoadedDag, LoadResult } from '../runtime/loader/load-result.ts'
import type { Logger } from '../runtime/log.ts'
import { didYouMean } from '../runtime/nearest.ts'
import { isTemplate } from '../runtime/templates/parse-template.ts'
import type { Database } from './database/connection.ts'
import { recordLoad } from './database/record-load.ts'
import { executorOf } from './executors/executor-of.ts'
import { timetableOf } from './timetable/timetable.ts'

export interface LoadDagsDeps {
  db: Database
  load: () => Promise<LoadResult>
  /** Where the source leads now. */
  publishedPath: () => Promise<string | undefined>
  executorNames: readonly string[]
  arePausedAtCreation: boolean
  log: Logger
}

/**
 * One pass; may be called again at any time.
 * @returns what was loaded; undefined where nothing is published yet, or another commit by now
 */
export async function loadDags(deps: LoadDagsDeps): Promise<LoadResult | undefined> {
  const found = await deps.load().catch((error: unknown) => {
    if (error instanceof NotFoundError) return undefined
    throw error
  })
  // Another scheduler may have recorded what is published now: an older commit must not come after it.
  if (!found || found.source_path !== (await deps.publishedPath())) return undefined
  const load = judge(found, deps.executorNames)
  const { newVersions, stale } = await recordLoad(deps.db, load, {
    arePausedAtCreation: deps.arePausedAtCreation,
  })
  deps.log.info(
    {
      commit_sha: load.commit_sha,
      dags: load.dags.length,
      rebuilt: load.rebuilt,
      new_versions: newVersions.length,
      stale: stale.length,
      import_errors: load.import_errors.length,
      duration_ms: Math.round(load.duration_ms),
    },
    'dags loaded',
  )
  for (const error of load.import_errors) {
    deps.log.warn({ file: error.file, line: error.line, error: error.message }, 'import error')
  }
  return load
}

/** Dags with a schedule, an executor or a pod template that cannot be become import errors of their file. */
function judge(load: LoadResult, executorNames: readonly string[]): LoadResult {
  const errors = load.dags.flatMap((dag) => {
    const message = faultOf(dag, executorNames) ?? podTemplateFault(dag, load.source_path)
    if (message === undefined) return []
    return {
      file: dag.file,
      error_file: dag.file,
      line: null,
      column: null,
      message: `Dag '${dag.dag_id}': ${message}`,
      hint: null,
      stack: null,
      dag_ids: [dag.dag_id],
    }
  })
  if (errors.length === 0) return load
  const failed = new Set(errors.map((error) => error.file))
  const already = new Set(load.import_errors.map((error) => error.file))
  const firstOfFile = [...new Map(errors.map((error) => [error.file, error])).values()]
  return {
    ...load,
    dags: load.dags.filter((dag) => !failed.has(dag.file)),
    import_errors: [...load.import_errors, ...firstOfFile.filter((error) => !already.has(error.file))],
    failed_files: [...load.failed_files, ...failed],
  }
}

function faultOf({ manifest }: LoadedDag, executorNames: readonly string[]): string | undefined {
  try {
    timetableOf(manifest.schedule)
  } catch (error) {
    return messageOf(error as DagDefinitionError)
  }
  for (const task of manifest.tasks) {
    // The default is among them, by the configuration's own check.
    const executor = executorOf(task, executorNames[0]!)
    if (!executorNames.includes(executor)) {
      const what =
        task.executor === executor
          ? `names the executor '${executor}'`
          : `is a ${task.kind}, and needs the executor '${executor}'`
      return `task '${task.task_id}' ${what}, which there is not.${didYouMean(executor, executorNames)} There is: ${executorNames.join(', ')}. The setting executors says which there are.`
    }
  }
  return undefined
}

/** Templates are files of the commit: what is wrong with one is known before a run needs it. */
function podTemplateFault({ manifest }: LoadedDag, sourcePath: string): string | undefined {
  for (const { task_id, pod_template_file: file, operator } of manifest.tasks) {
    const [named, judgeText] =
      operator === null || operator.kind === 'resource'
        ? [file, templateFault]
        : [operator.pod_template_file, operatorTemplateFault]
    if (named === null || isTemplate(named)) continue
    const fault = faultOfFile(join(sourcePath, named), named, judgeText)
    if (fault !== null) return `task '${task_id}': ${fault}`
  }
  return undefined
}

function faultOfFile(
  path: string,
  file: string,
  judgeText: (text: string, where: string) => string | null,
): string | null {
  try {
    return judgeText(readFileSync(path, 'utf8'), file)
  } catch (error) {
    return `the pod template ${file} cannot be read: ${messageOf(error)}`
  }
}

function operatorTemplateFault(text: string, where: string): string | null {
  try {
    parseOperatorTemplate(text, where)
    return null
  } catch (error) {
    return messageOf(error)
  }
}
