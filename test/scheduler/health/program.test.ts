// The addresses of health and metrics of the program itself.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createDeployment, kill } from '../../support/deployment.ts'
import { eventually } from '../../support/eventually.ts'
import { freePort } from '../../support/free-port.ts'

test('the program is live at once, ready when its Dags are loaded, and not ready while Postgres is away', async () => {
  const port = await freePort('127.0.0.1')
  await using deployment = await createDeployment({
    files: {
      'hello.ts': `import { dag, task } from 'branchline'
        export default dag('hello', {}, () => { task('a', () => 1) })`,
    },
    env: { BRANCHLINE_SCHEDULER_HEALTH_BIND: `127.0.0.1:${port}`, BRANCHLINE_EXECUTORS: 'local' },
  })
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined)
    return response === undefined ? 'nobody' : `${response.status} ${await response.text()}`
  }
  await deployment.killPostgres()
  deployment.startProgram('scheduler')
  await eventually(
    'it answers',
    async () => (await get('/livez')) === '200 [+] stage: waiting for postgres\n',
  )
  expect(await get('/readyz')).toBe('503 [-] stage: waiting for postgres\n')
  expect(await get('/metrics')).toMatch(/^branchline_scheduler_lease_held 0$/m)

  await deployment.startPostgres()
  await eventually(
    'it is ready',
    async () => (await get('/readyz')) === '200 [+] lease: held\n[+] dags: loaded\n',
  )
  expect(await get('/livez')).toMatch(
    /^200 \[\+\] stage: running\n\[\+\] lease: turns\n\[\+\] start-runs: turns\n/,
  )
  expect(await get('/metrics')).toMatch(/^branchline_scheduler_lease_held 1$/m)
  expect(await get('/metrics')).toMatch(/^branchline_scheduler_pass_busy_seconds\{pass="load-dags"\} 0$/m)

  await deployment.killPostgres()
  await eventually('it is not ready', async () =>
    (await get('/readyz')).startsWith('503 [-] lease: not renewed'),
  )
  expect(await get('/livez')).toMatch(/^200 /)
})

test('a statement that is never answered is a loop that hangs', async () => {
  const port = await freePort('127.0.0.1')
  await using deployment = await createDeployment({
    env: {
      BRANCHLINE_SCHEDULER_HEALTH_BIND: `127.0.0.1:${port}`,
      BRANCHLINE_SCHEDULER_HANG_TIMEOUT: '1s',
    },
  })
  const get = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/livez`).catch(() => undefined)
    return response === undefined ? 'nobody' : `${response.status} ${await response.text()}`
  }
  const scheduler = deployment.startProgram('scheduler')
  await eventually('it runs', async () => (await get()).startsWith('200 [+] stage: running'))
  const { pid } = deployment.postgres()
  const backends = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
  for (const backend of backends) kill(backend, 'SIGSTOP')
  try {
    const hangs = /^503 .*\n\[-\] lease: the loop that renews the lease has not ended for \d+ s: it hangs$/m
    await eventually('it says so', async () => hangs.test(await get()))
    expect(scheduler.lines()).toContainEqual(
      expect.objectContaining({ level: 'error', msg: 'the scheduler hangs and is to be restarted' }),
    )
  } finally {
    for (const backend of backends) kill(backend, 'SIGCONT')
  }
  await eventually('it goes on', async () => (await get()).startsWith('200 '))
})
