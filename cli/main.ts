#!/usr/bin/env node
// The program `branchline`. Arguments of `sync` go to that program untouched, since its options are git-sync's;
// everything else is a command of command-line.ts, which is not even loaded for it.
import { startProgram } from './start-program.ts'

const [first, ...rest] = process.argv.slice(2)

if (first === 'sync') await startProgram('sync', rest)
else {
  const { runCommand } = await import('./run-command.ts')
  await runCommand([first, ...rest].filter((argument) => argument !== undefined))
}
