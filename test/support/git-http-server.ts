// A Git remote behind an HTTP server with a password: git's own http-backend, and the ways in which such a server
// fails: it refuses, hangs, breaks off, or shows a certificate that nobody vouches for.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gitEnvironment, quietly } from './git-repository.ts'

const run = promisify(execFile)

export interface GitHttpServer extends AsyncDisposable {
  /** URL of a repository in the folder, without user info: `http://127.0.0.1:1234/origin.git`. */
  url(name: string): string
  /** The same with user and password in it. */
  urlWithPassword(name: string): string
  port: number
  /** Changes the password from the next request on. */
  setPassword(password: string): void
  /** Requests from now on are taken, and never answered. */
  hang(): void
  /** Answers from now on are cut off, with their connection, after so many bytes; shorter ones are whole. */
  cutAfter(bytes: number): void
  /** Answers from now on stop after so many bytes, and their connection stays. */
  stallAfter(bytes: number): void
  /** Ends `hang`, `cutAfter` and `stallAfter`: requests from now on are answered. */
  recover(): void
  close(): Promise<void>
}

/** A key and a certificate that it signed itself, as PEM. */
export interface SelfSigned {
  key: string
  cert: string
}

/**
 * Serves every repository in a folder by smart HTTP, for reading and pushing, to one user with a password.
 * @param server.address where it listens; default: the loopback address
 * @param server.port default: a free one
 * @param server.tls present: speaks HTTPS
 */
export async function serveGitOverHttp(server: {
  folder: string
  username: string
  password: string
  address?: string
  port?: number
  tls?: SelfSigned
}): Promise<GitHttpServer> {
  let { password } = server
  const address = server.address ?? '127.0.0.1'
  let isHanging = false
  let limit: AnswerLimit | undefined
  const children = new Set<ChildProcess>()
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    if (isHanging) return
    const expected = `Basic ${Buffer.from(`${server.username}:${password}`).toString('base64')}`
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end('who are you?\n')
      return
    }
    const child = runHttpBackend(server.folder, server.username, request, limited(response, limit))
    children.add(child)
    child.once('close', () => children.delete(child))
  }
  const http = server.tls === undefined ? createServer(answer) : createTlsServer(server.tls, answer)
  await new Promise<void>((resolve) => http.listen(server.port ?? 0, address, resolve))
  const { port } = http.address() as AddressInfo
  const scheme = server.tls === undefined ? 'http' : 'https'
  const close = async (): Promise<void> => {
    for (const child of children) child.kill('SIGKILL')
    http.closeAllConnections()
    await new Promise((resolve) => http.close(resolve))
  }
  return {
    url: (name) => `${scheme}://${address}:${port}/${name}`,
    urlWithPassword: (name) =>
      `${scheme}://${encodeURIComponent(server.username)}:${encodeURIComponent(password)}@${address}:${port}/${name}`,
    port,
    setPassword: (next) => {
      password = next
    },
    hang: () => {
      isHanging = true
    },
    cutAfter: (bytes) => {
      limit = { bytes, isCut: true }
    },
    stallAfter: (bytes) => {
      limit = { bytes, isCut: false }
    },
    recover: () => {
      isHanging = false
      limit = undefined
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

interface AnswerLimit {
  bytes: number
  /** Whether the connection breaks there; else it stays and nothing more comes. */
  isCut: boolean
}

/** The same response, of whose body no more than the limit is sent. */
function limited(response: ServerResponse, limit: AnswerLimit | undefined): ServerResponse {
  if (limit === undefined) return response
  const write = response.write.bind(response)
  const end = response.end.bind(response)
  let left = limit.bytes
  response.write = ((chunk: Buffer) => {
    if (left === 0) return false
    const part = chunk.subarray(0, left)
    left -= part.length
    return write(part, () => {
      if (left === 0 && limit.isCut) response.destroy()
    })
  }) as ServerResponse['write']
  response.end = (() => (left === 0 ? response : end())) as ServerResponse['end']
  return response
}

/** Made by openssl, for one address. @param folder where it may write */
export async function createSelfSigned(folder: string, address = '127.0.0.1'): Promise<SelfSigned> {
  const [keyPath, certPath] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', `/CN=${address}`, '-addext', `subjectAltName=IP:${address}`]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  await run('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', keyPath, '-out', certPath])
  return { key: await readFile(keyPath, 'utf8'), cert: await readFile(certPath, 'utf8') }
}

/** Git's own server program, spoken to by CGI (RFC 3875). */
function runHttpBackend(
  folder: string,
  username: string,
  request: IncomingMessage,
  response: ServerResponse,
): ChildProcess {
  const url = new URL(request.url ?? '/', 'http://server')
  const header = (name: string): string => String(request.headers[name] ?? '')
  const child = spawn('git', [...quietly, 'http-backend'], {
    env: {
      ...gitEnvironment,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: header('git-protocol'),
      REMOTE_USER: username,
      REMOTE_ADDR: '127.0.0.1',
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: header('content-type'),
      CONTENT_LENGTH: header('content-length'),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin.on('error', () => {})
  request.pipe(child.stdin)
  let head = Buffer.alloc(0)
  let isHeadDone = false
  child.stdout.on('data', (chunk: Buffer) => {
    if (isHeadDone) {
      response.write(chunk)
      return
    }
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    isHeadDone = true
    let status = 200
    for (const line of head.subarray(0, end).toString('latin1').split('\r\n')) {
      const colon = line.indexOf(':')
      const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()]
      if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.writeHead(status)
    response.write(head.subarray(end + 4))
  })
  child.stdout.on('end', () => response.end())
  return child
}
