// How the person can call `branchline` in another terminal, for commands that are printed to be copied: it depends on
// how this one was started.
import { basename, delimiter, dirname } from 'node:path'

/** Where the worker image has the program; the image's command `branchline` starts it there. */
const imageScript = '/usr/lib/branchline/bin/branchline.js'

/**
 * @param started.script path of the program as it was started (process.argv[1])
 * @param started.searchPath PATH
 */
export function commandPrefix(started: { script: string; searchPath: string }): string {
  // From the source tree: npm takes the Node that came with the packages, whatever Node the machine has.
  if (started.script.endsWith('.ts')) return 'npm run -s branchline --'
  if (started.script === imageScript) return 'branchline'
  const directory = dirname(started.script)
  const isPackageBin = basename(directory) === '.bin'
  const isInstalled = basename(started.script) === 'branchline' && !isPackageBin
  return isInstalled && started.searchPath.split(delimiter).includes(directory)
    ? 'branchline'
    : 'npx branchline'
}
