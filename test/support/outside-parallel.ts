// Many launches of one checkout at once: their folders, clones, branches and pushes do not meet.
import { execFile } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TEST_IMAGE } from './engine.ts'
import { type GitServer, git, startGitServer } from './git-server.ts'
import type { Outside } from './outside.ts'

const TOKEN = 'ghs_held_outside_by_ten_0123456789'
const AGENTS = Number(process.env['AGUI_AGENTS'] ?? 10)
const IMAGE = 'agui-runner:scripted'

/** In the runner's place: it has done its work when it is healthy. */
const AGENT = `#!/bin/sh
cd "$WORKSPACE_PATH" || exit 1
git log --oneline | wc -l >depth && git add depth && git commit --quiet --message "$HOSTNAME" || exit 1
exec node --input-type=module --eval "
import { createServer } from 'node:http'
process.on('SIGTERM', () => process.exit())
createServer((request, response) => response.end()).listen({ path: process.env.AGUI_SOCKET, readableAll: true, writableAll: true })
"
`

export function parallelCases(outside: () => Outside): void {
  let server: GitServer
  beforeAll(async () => {
    server = await startGitServer({ password: TOKEN })
    server.addRepository('acme/app', { main: { 'README.md': 'one' } })
    const { engine, bench } = outside()
    const [id, file] = [engine.docker('create', TEST_IMAGE, 'sh'), join(bench.directory, 'agent.sh')]
    writeFileSync(file, AGENT, { mode: 0o755 })
    engine.docker('cp', file, `${id}:/runner/entrypoint.sh`)
    engine.docker('commit', id, IMAGE)
    engine.docker('rm', '--volumes', id)
    rmSync(file)
  })
  afterAll(() => server?.close())

  test(`${AGENTS} at once on a shallow checkout and its worktree: every commit comes back, and nothing else changes`, async () => {
    const { bench, start, run } = outside()
    const [checkout, worktree] = [join(bench.workspace, 'ten'), join(bench.workspace, 'tree')]
    const url = `${server.url.replace('//', `//x-access-token:${TOKEN}@`)}/acme/app.git`
    await promisify(execFile)('git', ['clone', '--quiet', '--depth', '1', url, checkout])
    git(checkout, 'worktree', 'add', '--quiet', '--detach', worktree)
    const state = (): string[] => [
      ...[checkout, worktree].map((folder) => git(folder, 'status', '--porcelain', '--branch')),
      git(checkout, 'for-each-ref', 'refs/heads', 'refs/remotes'),
      git(checkout, 'worktree', 'list'),
    ]
    const before = state()
    const args = ['--image', IMAGE, '--workspace', 'clone', '--depth', '1', '--memory', '0.25']
    const env = {
      ...{ GITHUB_SERVER_URL: server.url, GITHUB_TOKEN: TOKEN },
      ...{ GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.org' },
      ...{ GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@example.org' },
    }
    const launched = Array.from({ length: AGENTS }, (_, index) =>
      start(args, { command: 'launch', cwd: index % 2 === 0 ? checkout : worktree, env }),
    )
    await Promise.all(launched.map((one) => one.has('stdout', '\n')))
    const runs = launched.map((one) => String(JSON.parse(one.stdout()).run))
    // One is killed; what it leaves is the next sweep's, its commits too.
    for (const [index, { child }] of launched.entries()) child.kill(index === 0 ? 'SIGKILL' : 'SIGTERM')
    const ends = await Promise.all(launched.map((one) => one.exited))
    expect(ends).toEqual(runs.map((_, index) => (index === 0 ? 'SIGKILL' : 0)))
    const swept = await run([], { command: 'sweep' })
    expect(swept.stdout).toContain(`commits refs/agui-runner/${runs[0]}/agui/${runs[0]}\n`)
    const refs = git(checkout, 'for-each-ref', '--format=%(refname)', 'refs/agui-runner').trim().split('\n')
    expect(refs).toEqual(runs.map((name) => `refs/agui-runner/${name}/agui/${name}`).sort())
    for (const ref of refs) {
      expect(git(checkout, 'show', `${ref}:depth`).trim()).toBe('1')
      expect(git(checkout, 'rev-parse', `${ref}^`)).toBe(git(checkout, 'rev-parse', 'HEAD'))
    }
    expect(state()).toEqual(before)
    git(checkout, 'fsck', '--no-progress')
  }, 120_000)
}
