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
    // On a machine shared with others a process may be starved once; twice is a fault. At home the first time counts.
    retry: process.env['CI'] === undefined ? 0 : 1,
    sequence: { shuffle: { files: true, tests: false } },
  },
})
