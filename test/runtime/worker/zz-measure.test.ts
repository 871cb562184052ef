import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync, existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { workerVariables } from '../../../runtime/execution-api.ts'
import { createExecution } from '../../support/execution.ts'

const bundle = `
const { dag, task } = globalThis[Symbol.for('branchline.authoring')]
export default dag('d', {}, () => { task('ok', ({ log }) => { log.info('first', { at: performance.timeOrigin + performance.now() }) }) })`
const med = (v: number[]) => v.toSorted((a, b) => a - b)[v.length >> 1]!

test('measure', async () => {
  await using execution = await createExecution(bundle)
  const web = await execution.startWeb()
  const rows: Record<string, number[]> = { node: [], runner: [], worker: [], worker_total: [], cpu: [], cpu_runner: [], cpu_node: [] }
  const dist = '/tmp/wbuild/dist'
  const env = { NODE_COMPILE_CACHE: '/tmp/wbuild/cache' }
  writeFileSync(join(execution.directory, 'b.mjs'), bundle)
  for (let i = 0; i < 16; i += 1) {
    const t0 = performance.now()
    const n = spawnSync('bash', ['-c', `time ${process.execPath} -e 0`], { env: { ...process.env, ...env }, encoding: 'utf8' })
    rows.node!.push(performance.now() - t0)
    const secs = (text: string, what: string) => { const m = new RegExp(what + '\\s+(\\d+)m([\\d.]+)s').exec(text)!; return (Number(m[1]) * 60 + Number(m[2])) * 1000 }
    rows.cpu_node!.push(secs(n.stderr, 'user') + secs(n.stderr, 'sys'))
    // bare runner
    const dir = mkdtempSync(join(tmpdir(), 'bare-'))
    const b0 = Date.now(), p0 = performance.now()
    const child = spawn(process.execPath, [`${dist}/task.js`, JSON.stringify({ directory: dir, heartbeat_interval_ms: 60000, max_attempts: 1, max_rss_mb: 5000, xcom_max_bytes: 1000000 })], { env: { ...process.env, ...env }, detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
    ;(child.stdio[3] as any).write(JSON.stringify({ type: 'run', attempts: [{ attempt_id: 'a', token: 't', dag_id: 'd', run_id: 'r', task_id: 'ok', map_index: -1, try_number: 1, max_tries: 1, run_type: 'manual', logical_date: null, data_interval_start: null, data_interval_end: null, params: '{}', inputs: {}, bundle_hash: 'h', bundle_path: join(execution.directory, 'b.mjs'), source_path: execution.directory, commit_sha: null, log_path: join(dir, 'log'), execution_timeout_ms: null }] }) + '\n')
    await new Promise<void>((done) => (child.stdio[4] as any).on('data', (c: Buffer) => { if (String(c).includes('finish')) done() }))
    const line = JSON.parse(readFileSync(join(dir, 'log'), 'utf8').split('\n')[0]!)
    rows.runner!.push(line.at - (performance.timeOrigin + p0))
    process.kill(-child.pid!, 'SIGKILL')
    // worker
    const attempt = await execution.insertAttempt('ok')
    const tokenFile = join(execution.directory, 'tok'); writeFileSync(tokenFile, attempt.podToken)
    const w0 = performance.now()
    const w = spawn('bash', ['-c', `time ${process.execPath} ${dist}/worker.js`], { env: { ...process.env, ...env, [workerVariables.executionApiUrl]: web.url, [workerVariables.tokenFile]: tokenFile, [workerVariables.dagsPath]: join(execution.directory, 'dags'), [workerVariables.spoolPath]: join(execution.directory, 'spool') }, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = '', err = ''
    w.stdout.on('data', (c) => (out += c)); w.stderr.on('data', (c) => (err += c))
    await new Promise((done) => w.on('close', done))
    rows.worker_total!.push(performance.now() - w0)
    rows.worker!.push(JSON.parse(out.split('\n')[0]!).at - (performance.timeOrigin + w0))
    rows.cpu!.push(secs(err, 'user') + secs(err, 'sys'))
  }
  for (const [k, v] of Object.entries(rows)) if (v.length) console.log(k, 'median', med(v).toFixed(1), 'min', Math.min(...v).toFixed(1))
  expect(1).toBe(1)
}, 120000)
