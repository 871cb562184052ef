// What the sidecar does once: reads the file that `base` left, sees that it is JSON, and hands it to the server until
// that has taken it. The author sees what is thrown here as the reason why the task failed.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidInputError, messageOf } from '../errors.ts'
import type { ExecutionClient } from '../worker/execution-client.ts'

/** The name is Airflow's. */
const fileName = 'return.json'
/** Of a file that is no JSON. */
const shownCharacters = 80

/**
 * @param directory with return.json; without it, or where it is empty, the result is that there is none
 * @throws InvalidInputError where the file is no JSON or cannot be read, or the server cannot keep it
 * @throws AttemptNotCurrentError where nobody wants it any more
 */
export async function sendResult(directory: string, client: Pick<ExecutionClient, 'xcom'>): Promise<void> {
  const bytes = readResult(join(directory, fileName))
  checkJson(bytes)
  await client.xcom(bytes)
}

function readResult(path: string): Buffer {
  try {
    const bytes = readFileSync(path)
    // White space alone is what a shell's `echo` of nothing leaves.
    return bytes.length < 64 && bytes.toString().trim() === '' ? Buffer.alloc(0) : bytes
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return Buffer.alloc(0)
    const hint =
      code === 'EACCES'
        ? ': let everybody read it (chmod a+r), or say with containerSecurityContext.runAsUser as whom the container runs'
        : ''
    throw new InvalidInputError(`${fileName} cannot be read, ${messageOf(error)}${hint}`, { cause: error })
  }
}

function checkJson(bytes: Buffer): void {
  if (bytes.length === 0) return
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new InvalidInputError(`${fileName} is not UTF-8 text`, { cause: error })
  }
  try {
    JSON.parse(text)
  } catch (error) {
    const start = text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text
    throw new InvalidInputError(
      `${fileName} is not JSON (${reasonOf(error)}). It begins with ${JSON.stringify(start)}`,
      {
        cause: error,
      },
    )
  }
}

/** Node repeats the text in its message. */
function reasonOf(error: unknown): string {
  return messageOf(error).replace(/,? (?:\.{3})?".*" is not valid JSON$/s, '')
}
