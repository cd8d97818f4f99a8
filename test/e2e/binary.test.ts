// Programs at CLAUDE_CLI_PATH that are no Claude Code, or one that is too old: said by the run, /ready and doctor alike.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bodyOf, run, runInput } from '../support/client.ts'
import { PATIENT } from '../support/processes.ts'
import { type Bench, openBench } from '../support/runner.ts'

let bench: Bench
beforeEach(async () => {
  bench = await openBench()
})
afterEach(() => bench.close())

/** As 2.1.316 answers the SDK: it initialises, and says nothing of hooks that block. 250 MB of the real one are not kept. */
const OLD = `
if (process.argv.includes('--version')) console.log('2.1.316 (Claude Code)')
else require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { type, request_id } = JSON.parse(line)
  const response = { subtype: 'success', request_id, response: { commands: [], agents: [], models: [] } }
  if (type === 'control_request') console.log(JSON.stringify({ type: 'control_response', response }))
})`

const NO_CLAUDE = /is none; .*The lowest version that works is 2\.1\.317\..*CLAUDE_CLI_PATH/s

const PROGRAMS: readonly [what: string, content: string, message: RegExp][] = [
  [
    'an old Claude Code',
    `#!${process.execPath}${OLD}`,
    /Claude Code 2\.1\.316 is too old; the lowest version that works is 2\.1\.317\. .*does not honor onFailure/,
  ],
  ['a program that says something else', '#!/bin/sh\necho v20.20.2\n', NO_CLAUDE],
  ['a program that says nothing', '#!/bin/sh\nexit 0\n', NO_CLAUDE],
  [
    'a program that fails',
    '#!/bin/sh\necho "cannot open shared object" >&2\nexit 3\n',
    /exit code 3: cannot open/,
  ],
  [
    'a program that names a version in red and fails',
    '#!/bin/sh\nprintf "\\033[31m2.1.332 (Claude Code)"\nexit 1\n',
    /\(exit code 1: \[31m2\.1\.332/,
  ],
  ['a program that never stops talking', '#!/bin/sh\nexec yes\n', NO_CLAUDE],
  ['a program that says nothing and stays', '#!/bin/sh\nexec sleep 1000\n', /no answer within 1500 ms/],
  [
    'a program that leaves another behind',
    '#!/bin/sh\nsetsid sleep 30 &\necho "no answer within 1500 ms is mine"\n',
    /no answer within 1500 ms/,
  ],
  ['no program at all', '\u007fELF broken', /CLAUDE_CLI_PATH|exec format/i],
]

/** Puts the program there. Returns the settings that name it. */
function install(content: string): Record<string, string> {
  const path = join(bench.directory, 'claude')
  writeFileSync(path, content, { mode: 0o755 })
  const isSilent = content.includes('sleep')
  return { CLAUDE_CLI_PATH: path, ...(isSilent ? { CLAUDE_START_TIMEOUT_MS: '1500' } : {}) }
}

const warned = (log: string): string[] =>
  log.split('\n').filter((line) => line.includes('"msg":"no run will work"'))

test.each(PROGRAMS)(
  '%s is told with the reason by the log, the run and /ready',
  async (_what, content, message) => {
    const runner = await bench.open(install(content))
    await expect.poll(() => warned(runner.log()), PATIENT).toHaveLength(1)
    expect(JSON.parse(warned(runner.log())[0] ?? '').reason).toMatch(message)
    const [all, ready] = await Promise.all([
      run(runner.url, runInput('t', 'hello')),
      fetch(`${runner.url}/ready`).then(bodyOf),
    ])
    expect(all.at(-1)).toMatchObject({
      type: 'RUN_ERROR',
      code: 'claude_start_failed',
      message: expect.stringMatching(message),
    })
    expect(ready).toMatchObject({ ready: false })
    expect(ready['checks'].filter(({ ok }: { ok: boolean }) => !ok)).toMatchObject([
      { name: 'claude_code', message: expect.stringMatching(message) },
    ])
  },
)

// By the same check as /ready.
test.each(PROGRAMS.slice(0, 2))('%s is told by doctor', async (_what, content, message) => {
  const doctor = bench.spawn(install(content), ['doctor', '--json'])
  expect(await doctor.exited).toBe(1)
  const { findings } = await doctor.line((line) => 'findings' in line)
  expect(findings).toContainEqual({
    name: 'claude code starts',
    ok: false,
    says: expect.stringMatching(message),
  })
})

test('a Claude Code that is put right is found without a new start of the server', async () => {
  const path = join(bench.directory, 'claude')
  writeFileSync(path, '#!/bin/sh\necho no\n', { mode: 0o755 })
  const runner = await bench.open({ CLAUDE_CLI_PATH: path })
  await expect.poll(() => warned(runner.log()), PATIENT).toHaveLength(1)
  writeFileSync(path, '#!/bin/sh\necho "2.1.317 (Claude Code)"\n')
  expect(await bodyOf(await fetch(`${runner.url}/ready`))).toMatchObject({ ready: true })
})
