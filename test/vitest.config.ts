import { defineConfig } from 'vitest/config'
import { LongFirst } from './support/long-first.ts'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // A worker loads the source once and not with each file. No file changes what another one sees: no mocks, no globals.
    isolate: false,
    // Most of these wait for processes that they started: two more than a runner has cores keep the cores busy.
    maxWorkers: 4,
    // On a machine shared with others a process may be starved once; twice is a fault. At home the first time counts.
    retry: process.env['CI'] === undefined ? 0 : 1,
    sequence: { seed: Date.now(), sequencer: LongFirst },
  },
})
