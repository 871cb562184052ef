// A server of the API on a database of its own, for one test. Every answer is held against the schema that the
// OpenAPI document gives for it, so no test needs to.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { expect } from 'vitest'
import { createLogger, type Logger } from '../../runtime/log.ts'
import { type Database, openDatabase } from '../../scheduler/database/connection.ts'
import { createWebServer, type WebServer } from '../../web/server/web-server.ts'
import { createMigratedDatabase } from '../support/postgres.ts'

interface Answer {
  status: number
  // Tests look into answers whose schema was checked.
  // biome-ignore lint/suspicious/noExplicitAny: as said
  body: any
  headers: Headers
}

export interface Api extends AsyncDisposable {
  db: Database
  server: WebServer
  url: string
  logsDir: string
  get(path: string): Promise<Answer>
  post(path: string, body?: unknown): Promise<Answer>
  patch(path: string, body: unknown): Promise<Answer>
}

export async function migratedDatabase(): Promise<Database & AsyncDisposable> {
  const database = await createMigratedDatabase()
  const db = openDatabase(database.url)
  return {
    ...db,
    async [Symbol.asyncDispose]() {
      await db.close()
      await database[Symbol.asyncDispose]()
    },
  }
}

/**
 * @param options.db default: a fresh one that goes away with the server
 * @param options.log default: a silent one
 */
export async function startApi(options: { db?: Database; host?: string; log?: Logger } = {}): Promise<Api> {
  await using cleanup = new AsyncDisposableStack()
  const db = options.db ?? cleanup.use(await migratedDatabase())
  const logsDir = await mkdtemp(join(tmpdir(), 'branchline-logs-'))
  cleanup.defer(() => rm(logsDir, { recursive: true, force: true }))
  const log = options.log ?? createLogger('web', { level: 'silent' })
  const server = cleanup.use(createWebServer({ db, logsDir, log, version: '1.2.3' }))
  const { url } = await server.start({ host: options.host ?? '127.0.0.1', port: 0 })
  const openapi = (await (await fetch(`${url}/api/v2/openapi.json`)).json()) as OpenApi
  const request = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(`${url}${path}`, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
    })
    const answer = { status: response.status, body: await response.json(), headers: response.headers }
    checkAnswer(openapi, method, path, answer)
    return answer
  }
  const owned = cleanup.move()
  return {
    db,
    server,
    url,
    logsDir,
    get: (path) => request('GET', path),
    post: (path, body) => request('POST', path, body),
    patch: (path, body) => request('PATCH', path, body),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

interface OpenApi {
  paths: Record<
    string,
    Record<string, { responses: Record<string, { content?: Record<string, { schema: TSchema }> }> }>
  >
}

const errorBody = ['code', 'details', 'message']

function checkAnswer(openapi: OpenApi, method: string, path: string, answer: Answer): void {
  if (answer.status >= 400) {
    expect(Object.keys(answer.body).sort()).toEqual(errorBody)
    return
  }
  const segments = path.split('?')[0]!.split('/')
  const found = Object.entries(openapi.paths).find(([template]) => {
    const parts = template.split('/')
    return (
      parts.length === segments.length &&
      parts.every((part, place) => part.startsWith('{') || part === segments[place])
    )
  })
  const operation = found?.[1][method.toLowerCase()]
  const schema = operation?.responses[answer.status]?.content?.['application/json']?.schema
  expect(schema, `${method} ${path} has a schema for ${answer.status}`).toBeDefined()
  expect([...Value.Errors(schema!, answer.body)], `${method} ${path}`).toEqual([])
  expect(Object.keys(answer.body).sort()).toEqual(
    Object.keys((schema as unknown as { properties: object }).properties).sort(),
  )
}
