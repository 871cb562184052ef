import { defineConfig } from 'vitest/config'

// Tests of images, containers and clusters: one after another, since each takes the machine for itself.
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/cluster/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    // Packages of the image are fetched and unpacked in it.
    hookTimeout: 600_000,
    reporters: ['verbose'],
  },
})
