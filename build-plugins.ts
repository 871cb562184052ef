// What the build changes in the packages that it bundles, so that a program starts fast and says no secrets: Node's
// own modules are loaded when they are used, and nobody's debug output is there.
import { builtinModules } from 'node:module'
import * as esbuild from 'esbuild'

/**
 * Those of Node's modules that take milliseconds to load and that many runs never need. `assert` opens standard error
 * to see whether it has colours.
 */
const heavyBuiltins = [
  'assert',
  'crypto',
  'http',
  'https',
  'inspector',
  'inspector/promises',
  'net',
  'tls',
  'zlib',
]

/**
 * Node's modules are asked for by `getBuiltinModule`, the heavy ones when something of theirs is first used. An
 * `import` that is left in a bundle is loaded before anything runs, also for a part that nobody asked for, and reads
 * every export: of node:http that loads the whole of `fetch`, 25 ms of each start.
 */
export const lazyBuiltins: esbuild.Plugin = {
  name: 'lazy-builtins',
  setup(builder) {
    const known = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]))
    builder.onResolve({ filter: /^[a-z_:/0-9]+$/ }, ({ path, kind }) => {
      if (!known.has(path)) return undefined
      const name = path.replace(/^node:/, '')
      const isLazy = heavyBuiltins.includes(name) && (kind !== 'require-call' || name === 'assert')
      if (isLazy) return { path: name, namespace: 'node-when-used' }
      return { path: name, namespace: kind === 'require-call' ? 'node-required' : 'node-imported' }
    })
    builder.onLoad({ filter: /.*/, namespace: 'node-required' }, ({ path }) => ({
      contents: `module.exports = ${builtin(path)}`,
    }))
    // As an ES module, of which only what is imported is kept: of a CommonJS one esbuild copies every export for
    // every file that imports it, 4 ms of each start.
    builder.onLoad({ filter: /.*/, namespace: 'node-imported' }, ({ path }) => ({
      contents: [
        `const load = () => ${builtin(path)}`,
        ...exportsOf(path).map((name) => `export const ${name} = /* @__PURE__ */ (() => load().${name})()`),
        'export default /* @__PURE__ */ load()',
      ].join('\n'),
    }))
    builder.onLoad({ filter: /.*/, namespace: 'node-when-used' }, ({ path }) => ({
      contents: `const load = () => ${builtin(path)}
const lazy = (...args) => load()(...args)
for (const name of ${JSON.stringify(exportsOf(path))})
  Object.defineProperty(lazy, name, { enumerable: true, get: () => load()[name] })
module.exports = lazy`,
    }))
  },
}

/**
 * esbuild has a binary of its own and stays outside. It is asked for when something is first bundled: a program that
 * bundles nothing starts 4 ms sooner, and also where it is not installed.
 */
export const lazyEsbuild: esbuild.Plugin = {
  name: 'lazy-esbuild',
  setup(builder) {
    const namespace = 'esbuild-when-used'
    builder.onResolve({ filter: /^esbuild$/ }, ({ path, importer }) =>
      importer === 'esbuild' ? { path, external: true } : { path, namespace },
    )
    builder.onLoad({ filter: /.*/, namespace }, ({ path }) => ({
      contents: `for (const name of ${JSON.stringify(Object.keys(esbuild))})
  Object.defineProperty(exports, name, { enumerable: true, get: () => require(${JSON.stringify(path)})[name] })`,
    }))
  },
}

/**
 * simple-git brings `debug`, which opens standard error at each start, 3 ms, to see whether it has colours. Nobody is
 * to ask it for its words (`DEBUG=*`): secrets are among git's arguments.
 */
export const silentDebug: esbuild.Plugin = {
  name: 'silent-debug',
  setup(builder) {
    builder.onResolve({ filter: /^debug$/ }, () => ({ path: 'debug', namespace: 'silent-debug' }))
    builder.onLoad({ filter: /.*/, namespace: 'silent-debug' }, () => ({
      contents: `const silent = () => Object.assign(() => {}, { enabled: false, extend: silent })
module.exports = Object.assign(silent, { default: silent, formatters: {}, enable() {}, disable() {} })`,
    }))
  },
}

function builtin(path: string): string {
  return `process.getBuiltinModule(${JSON.stringify(path)})`
}

function exportsOf(path: string): string[] {
  const names = Object.keys(process.getBuiltinModule(path) ?? {})
  return names.filter((name) => /^[A-Za-z_$][\w$]*$/.test(name) && name !== 'default')
}
