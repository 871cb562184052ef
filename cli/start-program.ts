// `branchline sync`, `scheduler` and `web` become the program: its file is imported into this process, which then is
// that program and nothing else. So there is no second process whose signals and exit code would have to be passed on,
// none of its code is loaded for any other command, and `branchline sync` reads its arguments by git-sync's rules.
import { pathToFileURL } from 'node:url'
import { type Program, programPath } from '../runtime/programs.ts'

/**
 * Runs the program in this process, which it ends itself.
 * @param args what it finds as its own arguments
 */
export async function startProgram(program: Program, args: readonly string[]): Promise<never> {
  const path = programPath(program)
  process.argv.splice(1, process.argv.length, path, ...args)
  await import(pathToFileURL(path).href)
  return await new Promise<never>(() => {})
}
