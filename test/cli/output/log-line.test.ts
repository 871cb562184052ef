import { expect, test } from 'vitest'
import { renderLogText } from '../../../cli/output/log-line.ts'
import { plain } from '../../../cli/output/style.ts'

function render(line: Record<string, unknown> | string): string {
  const text = typeof line === 'string' ? line : JSON.stringify(line)
  return renderLogText(text, plain)
    .join('\n')
    .replace(/^\d\d:\d\d:\d\d/, 'hh:mm:ss')
}
const line = { ts: '2026-01-02T03:04:05.678Z', level: 'info', stream: 'log', msg: 'fetched' }

test('a line has time, level, message and its fields', () => {
  expect(render({ ...line, rows: 3, region: 'eu west', file: 'a.csv', list: [1, { a: 2 }] })).toBe(
    'hh:mm:ss.678 INFO  fetched rows=3 region="eu west" file=a.csv list=[ 1, { a: 2 } ]',
  )
  expect(render({ ...line, level: 'error' })).toBe('hh:mm:ss.678 ERROR fetched')
})

test('an error stands below its line with its stack', () => {
  const error = { name: 'Error', message: 'no luck', stack: 'Error: no luck\n    at run (dags/a.ts:1:2)' }
  expect(render({ ...line, level: 'error', msg: 'failed', error })).toBe(
    'hh:mm:ss.678 ERROR failed\n    Error: no luck\n        at run (dags/a.ts:1:2)',
  )
})

test('what is no log line is shown as it is', () => {
  expect(render('{"ts":"2026-01-02T03:0')).toBe('{"ts":"2026-01-02T03:0')
  expect(render('[1]')).toBe('[1]')
  expect(render('null')).toBe('null')
})
