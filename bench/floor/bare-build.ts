// The floor of loading: esbuild over the same modules, and nothing read, compared, imported or recorded.
import { build } from 'esbuild'

/** As the loader builds: one build a module, since each must name its own inputs. */
const buildsInFlight = 8

/** Bundles `files` of `root`, each by itself, to `outdir`. */
export async function bareBuild(root: string, files: readonly string[], outdir: string): Promise<void> {
  const left = files.values()
  const work = async () => {
    for (const file of left) {
      await build({
        absWorkingDir: root,
        entryPoints: [`./${file}`],
        outdir,
        outExtension: { '.js': '.mjs' },
        bundle: true,
        format: 'esm',
        platform: 'node',
        target: 'node24',
        sourcemap: 'inline',
        metafile: true,
        external: ['branchline'],
        logLevel: 'silent',
      })
    }
  }
  await Promise.all(Array.from({ length: buildsInFlight }, work))
}
