#!/usr/bin/env node
// The program `branchline task`, in the container `base` of a worker pod: runs one attempt of one task instance and
// exits. Environment in, signals and exit code out; the attempt is run-attempt.ts. It says nothing on its own standard
// output and error but before and after the attempt: between, they are the attempt's log, byte for byte. Compiled code
// comes from the image (NODE_COMPILE_CACHE); a cache of its own would end with the pod.
import { ConfigError, messageOf } from '../errors.ts'
import { runAttempt } from './run-attempt.ts'
import { WorkerExitCode } from './worker-exit-code.ts'
import { readWorkerSettings, taskEnvironment } from './worker-settings.ts'

const terminated = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => terminated.abort())

async function main(): Promise<WorkerExitCode> {
  const settings = readWorkerSettings(process.env)
  return await runAttempt({ settings, env: taskEnvironment(process.env), terminated: terminated.signal })
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(
      `branchline task: ${error instanceof ConfigError ? error.message : messageOf(error)}\n`,
    )
    process.exit(error instanceof ConfigError ? WorkerExitCode.usage : WorkerExitCode.failed)
  },
)
