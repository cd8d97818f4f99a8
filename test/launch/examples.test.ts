// Every example of docs/launch.md, run as it stands: in a git repository, with a key, and no engine but bubblewrap.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { APP_KEY, type AppServer, startAppServer } from '../support/app-server.ts'
import { KEY } from '../support/outside.ts'
import { type Bench, openBench } from '../support/runner.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const COMMIT = 'echo new >new.txt && git add new.txt && git commit --quiet --message "By the agent"'
const page = readFileSync('docs/launch.md', 'utf8')
const EXAMPLES = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)

let bench: Bench
let github: AppServer
let programs: string

beforeAll(async () => {
  bench = await openBench({
    script: {
      rules: [
        { when: { prompt: 'add a file', round: 0 }, reply: [{ tool: 'Bash', input: { command: COMMIT } }] },
        { reply: 'You said: {{prompt}}' },
      ],
    },
  })
  github = await startAppServer()
  programs = join(bench.directory, 'bin')
  mkdirSync(programs)
  const program = (name: string, line: string): void => {
    writeFileSync(join(programs, name), `#!/bin/sh\n${line}\n`)
    chmodSync(join(programs, name), 0o755)
  }
  program('agui-runner', `exec ${process.execPath} ${MAIN} "$@"`)
  for (const engine of ['docker', 'podman']) program(engine, 'exit 1')
})
afterAll(async () => {
  await github.close()
  await bench.close()
})

/** In a repository of its own with one commit. */
async function perform(block: string): Promise<{ code: number; stdout: string; folder: string }> {
  const folder = join(bench.directory, `example-${EXAMPLES.indexOf(block)}`)
  mkdirSync(folder)
  const git = (...args: string[]): unknown => execFileSync('git', args, { cwd: folder, stdio: 'ignore' })
  git('init', '--initial-branch', 'main')
  git('config', 'user.name', 'Ada')
  git('config', 'user.email', 'ada@example.org')
  git('commit', '--allow-empty', '--message', 'first')
  writeFileSync(join(folder, 'app.pem'), APP_KEY, { mode: 0o600 })
  const child = spawn('bash', ['-euo', 'pipefail', '-c', block], {
    cwd: folder,
    env: {
      PATH: `${programs}:${process.env['PATH']}`,
      ...{ HOME: bench.home, TMPDIR: bench.directory },
      ...{ ANTHROPIC_BASE_URL: bench.gateway.directUrl, ANTHROPIC_API_KEY: KEY },
      ...{ GITHUB_SERVER_URL: github.url, GITHUB_API_URL: github.url },
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  if (code !== 0) throw new Error(`${block} ended with ${code}:\n${stdout}\n${stderr}`)
  return { code, stdout, folder }
}

const example = (words: string): string => {
  const found = EXAMPLES.filter((block) => block.includes(words))
  expect(found).toHaveLength(1)
  return found[0] ?? ''
}

test('there are five, each performed below', () => {
  expect(EXAMPLES).toHaveLength(5)
})

test('a clone', async () => {
  const { stdout } = await perform(example('for-each-ref'))
  expect(stdout).toMatch(/^refs\/agui-runner\/[0-9a-f]{12}\/agui\/[0-9a-f]{12} By the agent$/m)
}, 60_000)

test('a script', async () => {
  const { folder } = await perform(example('--json'))
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  expect(JSON.parse(read('result.json'))).toMatchObject({
    outcome: 'success',
    text: 'You said: review the last commit',
  })
  expect(read('events.ndjson').trim().split('\n').length).toBeGreaterThan(3)
  expect(read('audit.jsonl')).toContain('"path":"/v1/messages"')
}, 60_000)

test('a runner that stays', async () => {
  const { stdout } = await perform(example('agui-runner launch'))
  expect(stdout).toContain('"status":"healthy"')
}, 60_000)

test('a gateway for many', async () => {
  const { stdout } = await perform(example('agui-runner gateway'))
  expect(stdout).toContain('You said: say hello')
}, 60_000)

test('a GitHub App', async () => {
  const { stdout } = await perform(example('--app-id'))
  expect(stdout).toContain('You said: say hello')
  expect(github.minted.map(({ repositories, isRevoked }) => ({ repositories, isRevoked }))).toEqual([
    { repositories: ['app'], isRevoked: true },
  ])
}, 60_000)

test('nothing is left of them', () => {
  expect(readdirSync(bench.directory).filter((name) => name.startsWith('agui-launch-'))).toEqual([])
})
