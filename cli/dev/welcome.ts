// What `dev` says when it is ready: what it follows, where, which Dags there are, and what to try next. Pure.
import { relative } from 'node:path'
import { version } from '../../runtime/version.ts'
import type { Dag } from '../../web/server/schemas/dag.ts'
import type { Style } from '../output/style.ts'
import { renderFields, renderTable } from '../output/table.ts'
import type { DemoRepository } from './demo-repository.ts'
import type { DevSource } from './dev-source.ts'
import { commitText, importErrorLine, type Snapshot } from './news-lines.ts'

export interface Welcome {
  source: DevSource
  demo: DemoRepository | undefined
  snapshot: Snapshot
  webUrl: string
  /** Where a webhook asks sync to look; undefined without sync. */
  syncUrl: string | undefined
  dataDir: string
  cwd: string
  /** How `branchline` is called here. */
  prefix: string
  /** Further words for every command: where the API is, if not at its usual place. */
  apiArguments: string
}

/** Lines of the whole message. */
export function welcomeLines(welcome: Welcome, style: Style): string[] {
  return [
    '',
    ...renderFields(facts(welcome, style), style).map((line) => `  ${line}`),
    '',
    ...dagLines(welcome.snapshot, style),
    '',
    ...hintLines(welcome, style),
    '',
  ]
}

function facts(welcome: Welcome, style: Style): (readonly [string, string])[] {
  const { source, webUrl, syncUrl, dataDir, cwd, demo, snapshot } = welcome
  const commit = snapshot.commit === undefined ? '' : `, at ${commitText(snapshot.commit, style)}`
  const followed =
    source.type === 'directory'
      ? shortPath(source.path, cwd)
      : `${source.isLocal ? shortPath(source.repo, cwd) : withoutSecrets(source.repo)}, ${branchText(source.ref)}${commit}`
  return [
    ['Branchline', version],
    ['follows', followed],
    ...(demo === undefined ? [] : [['edit in', `${shortPath(demo.clone, cwd)}, commit and push`] as const]),
    ...(syncUrl === undefined || demo !== undefined ? [] : [['webhook', `POST ${syncUrl}`] as const]),
    ['API', `${webUrl}/api/v2`],
    ['data', `${shortPath(dataDir, cwd)}, where dev.log has every line of every program`],
  ]
}

function branchText(ref: string): string {
  return ref === 'HEAD' ? 'its default branch' : ref
}

/** A password in a URL is nobody's to read over a shoulder. */
function withoutSecrets(url: string): string {
  return url.replace(/^(\w+:\/\/)[^/@]*@/, '$1')
}

function shortPath(path: string, cwd: string): string {
  const short = relative(cwd, path)
  if (short === '') return 'this directory'
  return short.startsWith('..') ? path : short
}

function dagLines({ dags, importErrors }: Snapshot, style: Style): string[] {
  const rows = dags.map(({ dag_id, timetable_summary, description, is_paused }) => [
    style('bold', dag_id),
    is_paused ? style('yellow', 'paused') : (timetable_summary ?? 'when triggered'),
    style('dim', description ?? ''),
  ])
  const head = dags.length === 0 ? 'No Dags yet: they are live when they are there.' : countText(dags)
  return [
    head,
    ...renderTable(rows).map((line) => `  ${line}`),
    ...importErrors.map((error) => importErrorLine(error, style)),
  ]
}

function countText(dags: readonly Dag[]): string {
  return dags.length === 1 ? '1 Dag:' : `${dags.length} Dags:`
}

function hintLines(welcome: Welcome, style: Style): string[] {
  const { demo, cwd, prefix, apiArguments, snapshot } = welcome
  const call = (words: string) => `${prefix} ${words}${apiArguments}`
  const first = snapshot.dags[0]?.dag_id
  const commands =
    demo !== undefined
      ? [
          call('dags trigger inventory --wait'),
          call('tasks logs hello latest greet'),
          demoEdit(shortPath(demo.clone, cwd)),
        ]
      : first !== undefined
        ? [call(`dags trigger ${first} --wait`), call(`runs show ${first} latest`)]
        : [call('import-errors')]
  return [
    'Try next, in another terminal in this directory:',
    ...commands.map((command) => `  ${style('cyan', command)}`),
    style('dim', 'ctrl-C stops everything.'),
  ]
}

/** Works with every sed, shell and git, and each time: what it changed it changes back. */
function demoEdit(clone: string): string {
  const path = /^[\w./-]+$/.test(clone) ? clone : `'${clone.replaceAll("'", "'\\''")}'`
  return `sed -i.bak -e 's/Hello/Bonjour/' -e t -e 's/Bonjour/Hello/' ${path}/hello.ts && git -C ${path} commit -qam 'Greet otherwise' && git -C ${path} push -q`
}
