// The operator's programs around a publication, from options: the gate that it waits for, the hooks before and
// after it. They run in the worktree of the commit, and may change files there on purpose.
import { join } from 'node:path'
import type { Clock } from '../runtime/clock.ts'
import { GateError } from '../runtime/errors.ts'
import { type CommitSha, isCommitSha } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import { createExechook } from './hooks/exechook.ts'
import { createGateMemory, runGate } from './hooks/gate.ts'
import { createHook, type Hook } from './hooks/hook.ts'
import { createWebhook } from './hooks/webhook.ts'
import type { HookName, SyncMetrics } from './http/sync-metrics.ts'
import type { SyncOptions } from './options/options.ts'
import type { Layout } from './root/layout.ts'
import type { Refusal } from './sync-once.ts'

export interface SyncHooks {
  /** The gate's refusal of the commit, as long as it is not to be asked again. */
  refusalOf(commit: string): Refusal | undefined
  /** Waits for the gate, and sends the pre-publish hook. @throws GateError where the commit must not be published */
  beforePublish(commit: CommitSha, signal: AbortSignal): Promise<void>
  /** After each publication, and after the first sync of a process. @param isRepaired the commit's files are new */
  published(commit: CommitSha, isRepaired: boolean): void
  /** Whether each hook that was sent succeeded, in one-time mode; resolves when all have run. */
  settled(): Promise<boolean>
  stop(): Promise<void>
}

/**
 * @param deps.environment of the programs; read anew at each run
 * @param deps.whileChanging runs what may change files of the commit's worktree
 */
export function createSyncHooks(deps: {
  options: SyncOptions
  layout: Layout
  environment: Readonly<Record<string, string | undefined>>
  redact: (text: string) => string
  whileChanging: (commit: CommitSha, change: () => Promise<void>) => Promise<void>
  onGatePassed: (commit: CommitSha, outputPath: string) => void
  onError: (error: unknown, message: string) => Promise<void>
  metrics: SyncMetrics
  clock: Clock
  /** The log of a hook, whose lines carry its name. */
  logOf: (name: HookName | 'gate') => Logger
}): SyncHooks {
  const { options, layout, environment, redact, metrics, clock, logOf } = deps
  const gateMemory = createGateMemory({ backoffMs: options.gateBackoff, clock })

  const hook = (
    name: HookName,
    backoffMs: number,
    run: (commit: CommitSha, signal: AbortSignal) => Promise<void>,
  ): Hook =>
    createHook({
      name,
      run,
      backoffMs,
      isOneTime: options.oneTime,
      log: logOf(name),
      onRun: (status) => metrics.hookRan(name, status),
      onError: deps.onError,
    })
  const exechook = (
    name: Exclude<HookName, 'webhook'>,
    command: string,
    timeoutMs: number,
    backoffMs: number,
  ): Hook | undefined => {
    if (command === '') return undefined
    const { worktreePath } = layout
    const log = logOf(name)
    const run = createExechook({ name, command, timeoutMs, environment, worktreePath, redact, log })
    return hook(name, backoffMs, (commit, signal) => deps.whileChanging(commit, () => run(commit, signal)))
  }
  const webhook = (): Hook | undefined => {
    if (options.webhookUrl === '') return undefined
    const run = createWebhook({
      url: new URL(options.webhookUrl),
      method: options.webhookMethod,
      successStatus: options.webhookSuccessStatus,
      timeoutMs: options.webhookTimeout,
      environment,
      redact,
      log: logOf('webhook'),
    })
    return hook('webhook', options.webhookBackoff, run)
  }

  const prePublish = exechook(
    'pre-publish-exechook',
    options.prePublishExechookCommand,
    options.prePublishExechookTimeout,
    options.prePublishExechookBackoff,
  )
  const after = [
    exechook('exechook', options.exechookCommand, options.exechookTimeout, options.exechookBackoff),
    webhook(),
  ].filter((made) => made !== undefined)
  const all = prePublish === undefined ? after : [prePublish, ...after]

  async function passGate(commit: CommitSha, signal: AbortSignal): Promise<void> {
    const outputPath = join(layout.gateDir, `${commit}.log`)
    const gate = {
      command: options.gateCommand,
      timeoutMs: options.gateTimeout,
      commit,
      worktree: layout.worktreePath(commit),
      environment,
      outputPath,
      redact,
      signal,
      log: logOf('gate'),
    }
    try {
      await deps.whileChanging(commit, () => runGate(gate))
    } catch (error) {
      if (error instanceof GateError) gateMemory.refused(commit, error)
      throw error
    }
    deps.onGatePassed(commit, outputPath)
  }

  return {
    refusalOf: (commit) => {
      if (!isCommitSha(commit)) return undefined
      const error = gateMemory.refusalOf(commit)
      return error && { commit, error }
    },
    beforePublish: async (commit, signal) => {
      if (options.gateCommand !== '') await passGate(commit, signal)
      prePublish?.send(commit)
    },
    published: (commit, isRepaired) => {
      for (const sent of after) {
        if (isRepaired) sent.reset()
        sent.send(commit)
      }
    },
    settled: async () => {
      const outcomes = await Promise.all(all.map((sent) => sent.settled()))
      return outcomes.every((outcome) => outcome === 'success')
    },
    stop: async () => {
      await Promise.all(all.map((sent) => sent.stop()))
    },
  }
}
