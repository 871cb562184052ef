// The addresses of health and metrics of the program itself.
import { expect, test } from 'vitest'
import { createDeployment } from '../../support/deployment.ts'
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
