import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  AttemptState,
  DagRunState,
  finishedTaskInstanceStates,
  TaskInstanceState,
  taskInstanceMoves,
} from '../../runtime/states.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const page = read('docs/reference/states.md')
const schema = read('scheduler/database/migrations/0001_init.sql')
const namesIn = (text: string, quote: string) =>
  [...text.matchAll(new RegExp(`${quote}([a-z_]+)${quote}`, 'g'))].map(([, name]) => name!)
const sorted = (names: Iterable<string>) => [...new Set(names)].sort()

test('the page lists each state of a task instance with the moves that are allowed', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| .+ \| ([^|]+) \|$/gm)]
  const documented = Object.fromEntries(rows.map(([, state, moves]) => [state, sorted(namesIn(moves!, '`'))]))
  const allowed = Object.entries(taskInstanceMoves).map(([state, moves]) => [state, sorted(moves)])
  expect(documented).toEqual(Object.fromEntries(allowed))
})

test('the page names the finished states, and the states of attempts and runs', () => {
  const sentence = /The finished ones are ([^;]+);/.exec(page)![1]!
  expect(sorted(namesIn(sentence, '`'))).toEqual(sorted(finishedTaskInstanceStates))
  const [, attempts, runs] = page.split(/^## /m).slice(1)
  for (const state of Object.keys(AttemptState)) expect(attempts).toContain(`\`${state}\``)
  for (const state of Object.keys(DagRunState)) expect(runs).toContain(`\`${state}\``)
})

test.each([
  ['task_instance', 'state', TaskInstanceState],
  ['task_instance', 'attempt_state', AttemptState],
  ['dag_run', 'state', DagRunState],
])('the database allows the same words in %s.%s', (table, column, states) => {
  const definition = new RegExp(`create table ${table} \\([\\s\\S]*?\\n\\)`).exec(schema)![0]
  const check = new RegExp(`check \\(${column} in\\s*\\(([^)]*)\\)`).exec(definition)![1]!
  expect(sorted(namesIn(check, "'"))).toEqual(sorted(Object.keys(states)))
})
