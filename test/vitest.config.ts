import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Real processes on two cores: more files at once only make each other late.
    maxWorkers: 2,
    sequence: { shuffle: { files: true, tests: false } },
  },
})
