#!/usr/bin/env node
// The command of the package. It is apart from the program so that a Node that is too old gets a sentence instead of
// an error about an import that it does not know.
const needed = 24
if (Number.parseInt(process.versions.node, 10) < needed) {
  process.stderr.write(
    `branchline needs Node ${needed} or newer, and this is ${process.versions.node}: install a newer one, or beside the package by \`npm install node@${needed}\`\n`,
  )
  process.exit(2)
}
// A pod waits for `branchline task`, which needs none of the other commands.
const isTask = process.argv[2] === 'task' && process.argv.length === 3
await import(isTask ? '../dist/worker.js' : '../dist/branchline.js')
