// Where the program files are that a process starts beside itself: the `.ts` sources when this runs from the
// source tree, the bundles beside it when it runs from `dist/`. build.ts makes one bundle for each row.
import { join } from 'node:path'

/** Program → its source, from the top of the source tree. The bundle is `dist/<program>.js`. */
export const programs = {
  branchline: 'cli/main.ts',
  sync: 'sync/main.ts',
  scheduler: 'scheduler/main.ts',
  web: 'web/server/main.ts',
  worker: 'runtime/worker/main.ts',
  'xcom-sidecar': 'runtime/xcom-sidecar/main.ts',
  task: 'runtime/task-runner/main.ts',
  callbacks: 'runtime/callback-runner/main.ts',
  'manifest-reader': 'runtime/loader/manifest-reader-main.ts',
} as const
export type Program = keyof typeof programs

/** Absolute path of a program that `process.execPath` can run as it is. */
export function programPath(program: Program): string {
  return import.meta.filename.endsWith('.ts')
    ? join(import.meta.dirname, '..', programs[program])
    : join(import.meta.dirname, `${program}.js`)
}
