// Real servers for the tests of webhooks: a receiver that notes what it is sent, with or without TLS, and a
// forward proxy that takes every name for this machine.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface Received {
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: string
}

export interface Receiver extends AsyncDisposable {
  url: string
  port: number
  received: Received[]
}

export type Answering = (request: IncomingMessage, response: ServerResponse) => void

/** Listens on the loopback address. @param tls key and certificate: HTTPS */
export async function serve(answer: Answering, tls?: { key: string; cert: string }): Promise<Receiver> {
  const received: Received[] = []
  const onRequest: Answering = async (incoming, response) => {
    let body = ''
    for await (const chunk of incoming) body += chunk
    received.push({ method: incoming.method!, url: incoming.url!, headers: incoming.headers, body })
    answer(incoming, response)
  }
  const server = tls === undefined ? createServer(onRequest) : createTlsServer(tls, onRequest)
  const port = await listen(server)
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  return { url, port, received, [Symbol.asyncDispose]: () => close(server) }
}

/** Answers with a status and a body. */
export function status(code: number, body = ''): Answering {
  return (_request, response) => response.writeHead(code).end(body)
}

export interface ForwardProxy extends AsyncDisposable {
  url: string
  /** `POST http://…` and `CONNECT host:port`, with the Proxy-Authorization that came. */
  asked: { line: string; authorization: string | undefined }[]
}

/** Passes everything on to the same port of the loopback address, whatever name it was asked for. */
export async function serveProxy(): Promise<ForwardProxy> {
  const asked: ForwardProxy['asked'] = []
  const note = ({ method, url, headers }: IncomingMessage) =>
    asked.push({ line: `${method} ${url}`, authorization: headers['proxy-authorization'] })
  const server = createServer((incoming, response) => {
    note(incoming)
    const { port, pathname, search } = new URL(incoming.url!)
    const { method, headers } = incoming
    const passedOn = request({ host: '127.0.0.1', port, path: pathname + search, method, headers })
    incoming.pipe(passedOn)
    passedOn.once('response', (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
  })
  server.on('connect', (incoming: IncomingMessage, socket) => {
    note(incoming)
    const tunnel = connect(Number(incoming.url!.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      tunnel.pipe(socket).pipe(tunnel)
    })
    const end = () => [socket, tunnel].forEach((side) => void side.destroy())
    for (const side of [socket, tunnel]) side.once('error', end).once('close', end)
  })
  const port = await listen(server)
  return { url: `http://127.0.0.1:${port}`, asked, [Symbol.asyncDispose]: () => close(server) }
}

/** A key, and a certificate that nobody signed but itself. @returns the file too, for SSL_CERT_FILE */
export async function makeCertificate(folder: string, host: string) {
  const [keyFile, certFile] = [join(folder, 'tls.key'), join(folder, 'tls.crt')]
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`, '-days', '2']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
  await promisify(execFile)('openssl', ['req', '-x509', ...key, '-out', certFile, ...subject])
  return { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8'), certFile }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
