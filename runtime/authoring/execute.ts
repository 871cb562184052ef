// Executes one attempt of one task: calls its function, or runs its command. Timeouts, logs and what to make of
// the result are the caller's: the task runner in production, `testDag` in a test.
import { resolve } from 'node:path'
import { env as ownEnvironment } from 'node:process'
import { TaskFailError } from '../errors.ts'
import type { TaskVariable } from '../task-variables.ts'
import { type CommandOutput, runBashCommand } from './bash-command.ts'
import type { TaskContext } from './context.ts'
import type { BashDefinition, TaskDefinition } from './definition.ts'
import { resultText } from './jsonified.ts'

export interface ExecuteOptions {
  /**
   * Environment that a command starts from. Default: that of this process, as any child has it; no variable of
   * it is read here.
   */
  environment?: Readonly<Record<string, string | undefined>>
  /** See `BashCommand.killAfterMs`; default null. */
  killAfterMs?: number | null
}

/**
 * Runs it to its end; a function that does not heed `context.signal` is not stopped by it.
 * @param inputs input name → value; absent or undefined where the upstream task has no result
 * @param output where a command's output goes; functions write to the console and `context.log`
 * @returns the function's result as it is, not yet JSON; undefined for a command
 * @throws whatever the function throws; for a command see `runBashCommand`. `outcomeOf` judges it.
 */
export async function executeTask(
  definition: TaskDefinition,
  inputs: Readonly<Record<string, unknown>>,
  context: TaskContext,
  output: CommandOutput,
  { environment = ownEnvironment, killAfterMs = null }: ExecuteOptions = {},
): Promise<unknown> {
  if (definition.kind === 'task') {
    const run = definition.run as (...parameters: unknown[]) => unknown
    return definition.takesInputs ? await run(inputs, context) : await run(context)
  }
  if (definition.kind !== 'bash') {
    throw new TaskFailError(
      `task '${definition.taskId}' is a ${definition.kind} of a Kubernetes cluster, which nothing here can make: in a test give its result, testDag(dag, { results: { ${JSON.stringify(definition.taskId)}: … } })`,
    )
  }
  await runBashCommand({
    command: definition.command,
    cwd: resolve(context.sourcePath, definition.cwd ?? '.'),
    env: { ...environment, ...commandVariables(definition, inputs, context) },
    skipExitCodes: definition.skipExitCodes,
    signal: context.signal,
    output,
    killAfterMs,
  })
  return undefined
}

/** Undefined values unset a variable, so that a command never sees one of a run around it. */
function commandVariables(
  { taskId, env }: BashDefinition,
  inputs: Readonly<Record<string, unknown>>,
  context: TaskContext,
): Record<string, string | undefined> {
  const inputTexts = Object.entries(inputs).map(([name, value]) => [
    name,
    resultText(taskId, value) ?? undefined,
  ])
  const ofAttempt: Record<TaskVariable, string | undefined> = {
    BRANCHLINE_DAG_ID: context.dagId,
    BRANCHLINE_RUN_ID: context.runId,
    BRANCHLINE_TASK_ID: context.taskId,
    BRANCHLINE_TRY_NUMBER: String(context.tryNumber),
    BRANCHLINE_LOGICAL_DATE: context.logicalDate?.toISOString(),
    BRANCHLINE_DATA_INTERVAL_START: context.interval?.start.toISOString(),
    BRANCHLINE_DATA_INTERVAL_END: context.interval?.end.toISOString(),
    BRANCHLINE_PARAMS: JSON.stringify(context.params),
  }
  return { ...ofAttempt, ...Object.fromEntries(inputTexts), ...env }
}
