import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { ConfigError } from '../../runtime/errors.ts'
import type { SyncStatus } from '../../sync/http/http-endpoint.ts'
import { startHttpServers } from '../../sync/sync-http.ts'
import { captureLog } from './hooks/hook-fixtures.ts'
import { parse, required } from './options/parse.ts'

test('where the second server cannot listen, the first ends with whatever else was running', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const bind = `127.0.0.1:${(taken.address() as AddressInfo).port}`
  const argv = [...required, '--http-bind=127.0.0.1:0', `--listen=${bind}`]
  const { log, lines } = captureLog()
  const running = new AsyncDisposableStack()
  const starting = startHttpServers({
    options: parse(argv, { GITSYNC_LISTEN_SECRET: 's' }),
    isReady: () => true,
    status: () => ({}) as SyncStatus,
    metricsPage: undefined,
    argv,
    redact: (text) => text,
    onSync: () => {},
    running,
    log,
  })
  await expect(starting).rejects.toThrow(ConfigError)
  await expect(starting).rejects.toThrow(`--listen ${bind} cannot be listened on`)
  const url = `http://127.0.0.1:${(lines[0] as { port: number }).port}`
  expect((await fetch(url)).status).toBe(200)
  await running.disposeAsync()
  await expect(fetch(url)).rejects.toThrow()
  taken.close()
})
