import { defineConfig } from 'vitest/config'

// Tests of images, containers and the cluster: one after another, since each takes the machine for itself.
export default defineConfig({
  resolve: { alias: { branchline: new URL('../../runtime/index.ts', import.meta.url).pathname } },
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/cluster/**/*.test.ts'],
    globalSetup: ['test/support/postgres-global-setup.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['verbose'],
  },
})
