// Options from arguments and environment, as the tests of this folder ask for them.
import type { SyncOptions } from '../../../sync/options/options.ts'
import { parseOptions } from '../../../sync/options/parse-options.ts'

/** What a start needs, and nothing more. */
export const required = ['--repo', 'https://example.com/x.git', '--root', '/tmp/x'] as const

export function parseRun(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { options: SyncOptions; notes: string[] } {
  const request = parseOptions(argv, env)
  if (request.type !== 'run') throw new Error(`asks for ${request.type}`)
  return request
}

export function parse(argv: readonly string[], env: NodeJS.ProcessEnv = {}): SyncOptions {
  return parseRun(argv, env).options
}
