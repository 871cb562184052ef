// The floor of (f) as a process: from its start to its end, every module of a directory bundled once.
import { readdirSync } from 'node:fs'
import { bareBuild } from './bare-build.ts'

const [root, outdir] = [process.argv[2]!, process.argv[3]!]
await bareBuild(root, readdirSync(root), outdir)
// esbuild's service would keep the process waiting.
process.exit(0)
