// Commands that are printed to be copied: in the words that work where this one was called, be it the source tree,
// npx or an installed package.
import { commandPrefix } from './dev/command-prefix.ts'

/** `branchline <words>` as it can be called here. */
export function callText(words: string): string {
  const prefix = commandPrefix({ script: process.argv[1] ?? '', searchPath: process.env.PATH ?? '' })
  return `${prefix} ${words}`
}
