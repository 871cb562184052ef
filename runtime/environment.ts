// What is read from an environment, whoever's it is.
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/** The variables that are set, for those who take no others. */
export function definedVariables(environment: NodeJS.ProcessEnv): Record<string, string> {
  const defined = Object.entries(environment).filter(([, value]) => value !== undefined)
  return Object.fromEntries(defined) as Record<string, string>
}

/**
 * The program of this name that this user may run.
 * @param path the variable PATH. Relative folders in it are passed over: by them a program would come out of whatever
 * folder the process works in
 */
export function findInPath(name: string, path = ''): string | undefined {
  const files = path
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, name))
  return files.find(isProgram)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
