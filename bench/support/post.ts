// A POST as a client makes it that keeps its connection: without the cost of a new one, and of `fetch` itself.
import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: 1 })

/** @returns the JSON of the answer. @throws Error where it is not 2xx */
export async function post(url: string, body: unknown): Promise<unknown> {
  const text = JSON.stringify(body)
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  return await new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      let answer = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        answer += chunk
      })
      response.on('end', () => {
        const isOk = response.statusCode! >= 200 && response.statusCode! < 300
        if (isOk) resolve(JSON.parse(answer))
        else reject(new Error(`POST ${url} was answered with ${response.statusCode}: ${answer}`))
      })
    })
    sent.on('error', reject)
    sent.end(text)
  })
}
