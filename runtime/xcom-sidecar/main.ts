#!/usr/bin/env node
// The program `branchline xcom-sidecar`, in the sidecar of an operator's pod: sends the result that `base` left in a
// file, and exits. The container begins it when all other containers have ended (k8s/operators/xcom-sidecar.ts). What
// it says last on standard error is what the task's author is told where that fails.
import { enableCompileCache } from 'node:module'
import { AttemptNotCurrentError, ConfigError, messageOf } from '../errors.ts'
import { createExecutionClient } from '../worker/execution-client.ts'
import { WorkerExitCode } from '../worker/worker-exit-code.ts'
import { readSidecarSettings } from '../worker/worker-settings.ts'
import { sendResult } from './send-result.ts'

enableCompileCache()

// It is over as soon as it can be; the end of the pod's grace period is the limit, whoever else says so.
process.on('SIGTERM', () => {})

async function main(): Promise<void> {
  const settings = readSidecarSettings(process.env)
  const client = createExecutionClient({
    url: settings.executionApiUrl,
    tokenFile: settings.tokenFile,
    signal: new AbortController().signal,
    onTrouble: (why) => {
      if (why !== null) process.stderr.write(`the result cannot be sent yet: ${why}\n`)
    },
  })
  try {
    await sendResult(settings.xcomPath, client)
  } finally {
    client.close()
  }
}

function exitCodeOf(error: unknown): WorkerExitCode {
  if (error instanceof AttemptNotCurrentError) return WorkerExitCode.notCurrent
  return error instanceof ConfigError ? WorkerExitCode.usage : WorkerExitCode.failed
}

main().then(
  () => process.exit(WorkerExitCode.ok),
  (error: unknown) => {
    process.stderr.write(`${messageOf(error)}\n`)
    process.exit(exitCodeOf(error))
  },
)
