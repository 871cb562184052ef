import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { createLeftovers } from '../../../runtime/task-runner/leftovers.ts'

test('a timer that goes on, an open server and a child that still runs are found', async () => {
  const leftovers = createLeftovers()
  leftovers.begin()
  expect(leftovers.found()).toBe(false)

  const timer = setInterval(() => {}, 60_000)
  expect(await leftovers.remain()).toBe(true)
  clearInterval(timer)
  expect(await leftovers.remain()).toBe(false)

  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  expect(await leftovers.remain()).toBe(true)
  server.close()
  await once(server, 'close')

  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  expect(await leftovers.remain()).toBe(true)
  child.kill()
  await once(child, 'close')
  await expect.poll(() => leftovers.remain()).toBe(false)
})
