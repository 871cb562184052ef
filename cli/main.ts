#!/usr/bin/env node
// The program `branchline`. Arguments of `sync` go to that program untouched, since its options are git-sync's; `task`
// becomes its program before anything else is loaded, since each pod waits for it. Everything else is a command of
// command-line.ts, which is not even loaded for them.
import { enableCompileCache } from 'node:module'
import { startProgram } from './start-program.ts'

// A command is over in a moment, half of which would be compiling what was compiled for the last one.
enableCompileCache()

const [first, ...rest] = process.argv.slice(2)

if (first === 'sync') await startProgram('sync', rest)
else if (first === 'task' && rest.length === 0) await startProgram('worker', [])
else if (first === 'xcom-sidecar' && rest.length === 0) await startProgram('xcom-sidecar', [])
else {
  const { runCommand } = await import('./run-command.ts')
  await runCommand(process.argv.slice(2))
}
