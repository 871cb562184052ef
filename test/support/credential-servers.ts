// Servers that know passwords, for tests of credentials: a git server with a password for each path that notes who
// came with what, an askpass URL, and GitHub's endpoint for the tokens of an app.
import { createPublicKey, verify } from 'node:crypto'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
  request as sendRequest,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { serveGitOverHttp } from './git-server.ts'

export interface User {
  username: string
  password: string
}

interface TestServer extends AsyncDisposable {
  /** Without a slash at the end: `http://127.0.0.1:1234`. */
  origin: string
}

async function listen(answer: RequestListener): Promise<TestServer> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export interface GuardedGitServer extends TestServer {
  /** Every `user:password` that came, in order, also wrong ones. */
  seen: string[]
  /** Every Cookie header that came. */
  cookies: string[]
  /** Who may read what lies below a path, which begins with a slash; may be changed at any time. */
  users: Record<string, User>
}

/**
 * Serves a folder's repositories over HTTP, each path to its own user.
 * @param options.users path (`/a.git`, or `/` for all others) → who may read there
 * @param options.redirects path → the address that requests below it are sent on to
 * @param options.isRedirectGuarded whether a redirect is told only to who knows the password
 * @param options.beforeAnswer waited for while git waits for its answer
 *
 * It is careless: who comes with a wrong password is told what he came with.
 */
export async function serveGuardedGit(options: {
  folder: string
  users: Record<string, User>
  redirects?: Record<string, string>
  isRedirectGuarded?: boolean
  beforeAnswer?: () => Promise<void>
}): Promise<GuardedGitServer> {
  const inside = { username: 'inside', password: 'inside' }
  const backend = await serveGitOverHttp({ folder: options.folder, ...inside })
  const users = { ...options.users }
  const seen: string[] = []
  const cookies: string[] = []
  const below = <Value>(table: Record<string, Value>, path: string): [string, Value] | undefined =>
    Object.entries(table)
      .filter(([prefix]) => path.startsWith(prefix))
      .sort(([a], [b]) => b.length - a.length)[0]

  const server = await listen(async (request, response) => {
    await options.beforeAnswer?.()
    const url = request.url ?? '/'
    const given = userOf(request)
    if (request.headers.cookie !== undefined) cookies.push(request.headers.cookie)
    if (given !== undefined) seen.push(`${given.username}:${given.password}`)
    const redirect = below(options.redirects ?? {}, url)
    const isOpen = redirect !== undefined && options.isRedirectGuarded !== true
    const user = below(users, url)?.[1]
    const isKnown = given?.username === user?.username && given?.password === user?.password
    if (!isOpen && (user === undefined || !isKnown)) {
      const headers = { 'www-authenticate': 'Basic realm="test"', 'content-type': 'text/plain' }
      const told = [request.headers.authorization, given?.password, encodeURIComponent(given?.password ?? '')]
      response.writeHead(401, headers).end(`who is ${told.join(' ')}?\n`)
      return
    }
    if (redirect !== undefined) {
      response.writeHead(302, { location: url.replace(redirect[0], redirect[1]) }).end()
      return
    }
    forward(request, response, new URL(url, backend.url('')), inside)
  })
  return {
    ...server,
    seen,
    cookies,
    users,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]()
      await backend.close()
    },
  }
}

function forward(request: IncomingMessage, response: ServerResponse, url: URL, as: User): void {
  const { authorization: _, host: __, ...headers } = request.headers
  const auth = `${as.username}:${as.password}`
  const onward = sendRequest(url, { method: request.method ?? 'GET', headers, auth }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    answer.pipe(response)
  })
  onward.on('error', () => response.destroy())
  request.pipe(onward)
}

/** User and password of Basic authentication. */
function userOf(request: IncomingMessage): User | undefined {
  const [, encoded] = /^Basic (.+)$/.exec(request.headers.authorization ?? '') ?? []
  if (encoded === undefined) return undefined
  const [, username = '', password = ''] =
    /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  return { username, password }
}

export interface AskpassServer extends TestServer {
  /** What it answers from now on; `hang`: nothing. */
  answer: { status: number; body: string; headers?: Record<string, string> } | 'hang'
  /** Method, path and user of each request so far. */
  requests: { method: string; url: string; user: User | undefined }[]
}

export async function serveAskpass(user: User): Promise<AskpassServer> {
  const state: Pick<AskpassServer, 'answer' | 'requests'> = {
    answer: { status: 200, body: `username=${user.username}\npassword=${user.password}\n` },
    requests: [],
  }
  const server = await listen((request, response) => {
    state.requests.push({ method: request.method!, url: request.url!, user: userOf(request) })
    if (state.answer === 'hang') return
    response.writeHead(state.answer.status, state.answer.headers).end(state.answer.body)
  })
  return Object.assign(state, server)
}

export interface GithubServer extends TestServer {
  /** Statements (JWT payloads) whose signature was right, so far. */
  statements: { iss: string; iat: number; exp: number }[]
  /** The token of the next answer, and when it expires, in milliseconds. */
  next: { token: string; expiresAt: number }
  /** Set: answered to every request. */
  failure: { status: number; body: string } | undefined
}

/**
 * GitHub's `POST /app/installations/<id>/access_tokens` below a path, for one app and installation.
 * @param app.key its private or public key as PEM
 */
export async function serveGithub(app: {
  key: string
  installationId: number
  path?: string
}): Promise<GithubServer> {
  const state: Omit<GithubServer, keyof TestServer> = {
    statements: [],
    next: { token: 'ghs_first', expiresAt: Date.now() + 3_600_000 },
    failure: undefined,
  }
  const refuse = (response: ServerResponse, status: number, message: string): void => {
    response.writeHead(status).end(JSON.stringify({ message, documentation_url: 'https://docs.test' }))
  }
  const server = await listen((request, response) => {
    if (state.failure !== undefined) {
      response.writeHead(state.failure.status).end(state.failure.body)
      return
    }
    const expected = `${app.path ?? ''}/app/installations/${app.installationId}/access_tokens`
    if (request.method !== 'POST' || request.url !== expected) return refuse(response, 404, 'Not Found')
    const statement = verifiedStatement(request.headers.authorization ?? '', app.key)
    if (statement === undefined || request.headers.accept !== 'application/vnd.github+json') {
      return refuse(response, 401, 'A JSON web token could not be decoded')
    }
    state.statements.push(statement)
    const { token, expiresAt } = state.next
    response.writeHead(201).end(JSON.stringify({ token, expires_at: new Date(expiresAt).toISOString() }))
  })
  return Object.assign(state, server)
}

/** Checked without the package that made it. */
function verifiedStatement(
  authorization: string,
  key: string,
): GithubServer['statements'][number] | undefined {
  const [, head, payload, signature] = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(authorization) ?? []
  if (head === undefined || payload === undefined || signature === undefined) return undefined
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  const signed = Buffer.from(`${head}.${payload}`)
  const isRight = verify('RSA-SHA256', signed, createPublicKey(key), Buffer.from(signature, 'base64url'))
  return isRight && parse(head).alg === 'RS256' ? parse(payload) : undefined
}
