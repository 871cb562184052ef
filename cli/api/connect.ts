// Where the API is: --api-url, or else what the configuration says (BRANCHLINE_API_URL, the file, the default).
import { loadConfig } from '../../runtime/config.ts'
import { InvalidInputError } from '../../runtime/errors.ts'
import { type Api, createApi } from './client.ts'

/** Options that every command has that speaks to the API. */
export interface ApiOptions {
  apiUrl?: string
  config?: string
}

/**
 * Does not connect yet.
 * @throws ConfigError for a configuration that cannot be; InvalidInputError for a URL that is none
 */
export function connectApi(options: ApiOptions, settings: { timeoutMs?: number } = {}): Api {
  const flags = { api_url: options.apiUrl, config: options.config }
  const url = loadConfig({ env: process.env, flags }).values.api_url
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
    throw new InvalidInputError(`${JSON.stringify(url)} is no URL of an API: write http://host:port`)
  }
  return createApi({ url, ...settings })
}
