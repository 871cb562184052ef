import { defineConfig } from 'vitest/config'

// Two workers: the suites start real servers (Postgres, sshd, git), and small machines have two cores.
export default defineConfig({
  resolve: { alias: { branchline: new URL('./runtime/index.ts', import.meta.url).pathname } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/cluster/**', '**/node_modules/**'],
    maxWorkers: 2,
    globalSetup: ['test/support/postgres-global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default'],
  },
})
