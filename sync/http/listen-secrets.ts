// The secrets by which --listen knows who may ask for a sync. Read anew for each notification, so that a mounted
// secret can be changed without a restart; several, one on each line, so that old and new hold side by side while
// the senders change.
import { readFile } from 'node:fs/promises'
import { ConfigError, messageOf } from '../../runtime/errors.ts'

/**
 * @param options.secretFile --listen-secret-file, or empty
 * @param options.secret GITSYNC_LISTEN_SECRET, read where there is no file
 * @returns reads the secrets; throws ConfigError where the file cannot be read, or there are none
 */
export function createListenSecrets(options: {
  secretFile: string
  secret: string
}): () => Promise<string[]> {
  const { secretFile, secret } = options
  return async () => {
    const secrets = linesOf(secretFile === '' ? secret : await read(secretFile))
    if (secrets.length > 0) return secrets
    const source = secretFile === '' ? '$GITSYNC_LISTEN_SECRET' : `--listen-secret-file ${secretFile}`
    throw new ConfigError(`${source} holds no secret. Write one on each line`)
  }
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError(
      `--listen-secret-file ${path} cannot be read: ${messageOf(error)}. Make the file, or give sync the right to read it`,
      { cause: error },
    )
  }
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '')
}
