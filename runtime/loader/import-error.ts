// Makes import errors: of places, and of what user code threw. A stack comes from a process that runs with
// --enable-source-maps, and the map's sources are relative, so that a frame of `dags/daily.ts` reads
// `<bundles folder>/dags/daily.ts:3:9`, with or without file://.
import { storableText } from '../storable.ts'
import type { ImportError } from './load-result.ts'

/** A place in the user's own files, counted from 1. */
export interface Place {
  file: string
  line: number
  column: number
}

interface ErrorParts {
  place?: Place | null
  hint?: string | null
  stack?: string | null
}

/** An import error of `file`; its `dag_ids` are filled in at the end of the pass. */
export function importError(
  file: string,
  message: string,
  { place, hint, stack }: ErrorParts = {},
): ImportError {
  const text = (given: string | null | undefined) => (given == null ? null : storableText(given))
  return {
    file: storableText(file),
    error_file: storableText(place?.file ?? file),
    line: place?.line ?? null,
    column: place?.column ?? null,
    message: storableText(message),
    hint: text(hint),
    stack: text(stack),
    dag_ids: [],
  }
}

/** The stack with the paths of the user's files relative to the source path, as they stand in the repository. */
export function userStack(stack: string, bundlesDir: string): string {
  return stack.replaceAll(`file://${bundlesDir}/`, '').replaceAll(`${bundlesDir}/`, '')
}

const framePattern = /^\s+at (?:async )?(?:.*\()?(?!async |node:|file:|\/)([^()]+?):(\d+):(\d+)\)?$/

/** The innermost frame of a `userStack` in a file of the user's own; else in a package; else null. */
export function firstUserPlace(stack: string): Place | null {
  const places = stack
    .split('\n')
    .map((line) => framePattern.exec(line))
    .filter((match) => match !== null)
    .map((match): Place => ({ file: match[1]!, line: Number(match[2]), column: Number(match[3]) }))
    .filter(({ file }) => !/^<|^[0-9a-f]{64}\.mjs|^branchline:/.test(file))
  return places.find(({ file }) => !file.includes('node_modules/')) ?? places[0] ?? null
}
