// Clients that go away in the middle: their own affair, and nothing that somebody must look at.
import { appendFile, mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { createLogger } from '../../runtime/log.ts'
import { attemptLogPath } from '../../runtime/log-line.ts'
import { eventually } from '../support/eventually.ts'
import { startApi } from './api-fixture.ts'
import { insertDag, insertRun, insertTaskInstance } from './rows.ts'

const megabyte = 'x'.repeat(2 ** 20)

function recordedLog() {
  const lines: { level: string; msg: string }[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  return { lines, log: createLogger('web', { level: 'debug', destination }) }
}

/** Sends `text` and hangs up, rudely, once the server has it. */
async function hangUpAfter(url: string, text: string, isSeen: (answer: string) => boolean): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    answer += chunk
    socket.pause()
  })
  socket.write(text)
  await eventually('the answer begins', () => isSeen(answer))
  socket.resetAndDestroy()
}

test('a reader of a long log that hangs up is told at debug, not as an error', async () => {
  const { lines, log } = recordedLog()
  await using api = await startApi({ log })
  await insertDag(api.db, 'daily')
  await insertTaskInstance(api.db, await insertRun(api.db, 'daily', 'one'), 'only', 'running')
  const place = { dag_id: 'daily', run_id: 'one', task_id: 'only', map_index: -1, try_number: 1 }
  const path = attemptLogPath(api.logsDir, place)
  await mkdir(dirname(path), { recursive: true })
  for (let written = 0; written < 16; written += 1) await appendFile(path, megabyte)
  const logs = '/api/v2/dags/daily/dagRuns/one/taskInstances/only/logs/1?follow=true'
  await hangUpAfter(api.url, `GET ${logs} HTTP/1.1\r\nhost: localhost\r\n\r\n`, (answer) =>
    answer.includes('200 OK'),
  )
  await eventually('the server notices', () => lines.find(({ msg }) => msg === 'reader went away'))
  expect(lines.filter(({ level }) => level !== 'debug')).toEqual([])
})

test('a client that hangs up within its request is told at debug, not as an error', async () => {
  const { lines, log } = recordedLog()
  await using api = await startApi({ log })
  const head =
    'POST /api/v2/dags/daily/dagRuns HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
  await hangUpAfter(
    api.url,
    `${head}expect: 100-continue\r\ncontent-length: 1000\r\n\r\n{"params":`,
    (answer) => answer.includes('100 Continue'),
  )
  await eventually('the server notices', () => lines.find(({ msg }) => msg === 'client went away'))
  expect(lines.filter(({ level }) => level !== 'debug')).toEqual([])
})
