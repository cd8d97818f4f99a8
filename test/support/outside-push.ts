// From a prompt to a branch on a server: who has no network commits, and pushes by the broker's git door.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import type { Rule } from '../../src/mock/script.ts'
import { type GitServer, git, startGitServer } from './git-server.ts'
import type { Launchers } from './outside.ts'

const TOKEN = 'ghs_held_outside_0123456789'
/** As an agent would: it is on a branch of its own, and `git push` is enough. Then what it may not. */
const WORK = [
  'exec 2>&1',
  'echo new >new.txt && git add new.txt && git commit --quiet --message "By the agent"',
  'git push --quiet && echo pushed',
  'git push --quiet origin HEAD:main',
  'git push --quiet --delete origin main',
  'git ls-remote $GITHUB_SERVER_URL/acme/secret.git',
  'git fetch --quiet origin && git log -1 --format="%an: %s" origin/$(git branch --show-current)',
].join('; ')

export const PUSH_RULES: readonly Rule[] = [
  { when: { prompt: 'add a file', round: 0 }, reply: [{ tool: 'Bash', input: { command: WORK } }] },
]

const GitLine = z.object({
  ...{ door: z.string(), verdict: z.string(), method: z.string(), path: z.string() },
  refs: z.array(z.string()).optional(),
})

export function pushCases(outside: () => Launchers): void {
  let server: GitServer
  beforeAll(async () => {
    server = await startGitServer({ password: TOKEN })
    for (const name of ['acme/app', 'acme/secret']) {
      server.addRepository(name, { main: { 'README.md': 'one' } })
      server.git(name, 'config', 'http.receivepack', 'true')
    }
  })
  afterAll(() => server?.close())

  test('a prompt becomes a branch on the server, and nothing else there changes', async () => {
    const { bench, run } = outside()
    const checkout = join(bench.workspace, 'app')
    const url = `${server.url.replace('//', `//x-access-token:${TOKEN}@`)}/acme/app.git`
    // Not by the synchronous one: this process is the server.
    await promisify(execFile)('git', ['clone', '--quiet', url, checkout])
    git(checkout, 'config', 'user.name', 'Ada')
    git(checkout, 'config', 'user.email', 'ada@example.org')
    const main = server.git('acme/app', 'rev-parse', 'main')
    const audit = join(bench.directory, 'audit')
    const { code, stdout, stderr } = await run(['--audit', audit, '--json', '-p', 'add a file'], {
      cwd: checkout,
      env: { GITHUB_SERVER_URL: server.url, GITHUB_TOKEN: TOKEN },
    })
    expect([code, stderr]).toEqual([0, expect.stringContaining('private: ')])
    const { text, branch } = JSON.parse(stdout)
    expect(text).toContain('pushed')
    for (const ref of ['HEAD -> main', 'main'])
      expect(text).toMatch(new RegExp(`\\[remote rejected\\] +${ref} \\(only branches`))
    expect(text).toContain('This session has no right to acme/secret')
    expect(text).toContain('Ada: By the agent')
    expect(branch).toMatch(/^agui\/[0-9a-f]{12}$/)
    const log = server.git('acme/app', 'log', '--all', '--format=%an %s%d')
    expect(server.git('acme/app', 'rev-parse', 'main')).toBe(main)
    const lines = readFileSync(audit, 'utf8')
    const shown = [
      /what was committed .*/.exec(stderr)?.[0] ?? '',
      ...[text, log, linesOfGit(lines)].map((part) => part.trim()),
    ]
    const page = readFileSync('docs/launch.md', 'utf8')
    // The page has this run, with names for what differs from run to run.
    for (const part of shown)
      expect(page).toContain(
        part.replaceAll(branch.slice('agui/'.length), 'RUN').replaceAll(/(127\.0\.0\.1):\d+/g, '$1:PORT'),
      )
    const said = `${stdout}${stderr}${lines}`
    expect(said).toContain(`"refs":["refs/heads/${branch}"]`)
    expect(said).not.toMatch(/held.outside/)
  })
}

/** What `jq` shows of the audit by the command on the page. */
function linesOfGit(audit: string): string {
  const lines = audit.trim().split('\n')
  const all = lines.map((line) => GitLine.parse(JSON.parse(line))).filter(({ door }) => door === 'git')
  return all
    .map(({ verdict, method, path, refs = [] }) => [verdict, method, path, ...refs].join(' '))
    .join('\n')
}
