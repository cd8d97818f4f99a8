// What the environment brings into the workspace, behind the real policy.yaml: it is Claude Code's to work on, and what
// others would run or trust later is not.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run, runInput, textOf } from '../support/client.ts'
import { type GitServer, startGitServer } from '../support/git-server.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { missingNeed } from './needs.ts'

const reason = missingNeed([])
const SETTINGS = '{"model":"of the workflow"}'

describe.skipIf(reason !== undefined)(
  `a workflow behind enforcement (${reason ?? 'bubblewrap is here'})`,
  () => {
    let server: GitServer
    let bench: Bench
    let runner: OpenRunner

    const bash = (name: string, command: string) => [
      { when: { prompt: name, round: 0 }, reply: [{ tool: 'Bash', input: { command } }] },
      { when: { prompt: name, round: 1 }, reply: 'It said: {{result}}' },
    ]

    beforeAll(async () => {
      server = await startGitServer()
      server.addRepository('app', { main: { 'src/code.txt': 'old' } })
      server.addRepository('flow', {
        main: { 'one/.claude/settings.json': SETTINGS, 'one/step.txt': '1' },
      })
      bench = await openBench()
      bench.gateway.use({
        rules: [
          ...bash(
            'work',
            'echo "[$(pwd)]"; id -u; echo made > made.txt; echo new > ../../repos/app/src/code.txt; git -C ../../repos/app status --short',
          ),
          ...bash(
            'trust',
            'echo x > .claude/settings.json; mv .claude elsewhere; cd ../../repos/app/.git && mkdir -p hooks; echo x > hooks/post-checkout; echo x >> config; mv ../.git ../git; true',
          ),
        ],
      })
      runner = await bench.open({
        OPENSHELL_SANDBOX: '',
        POLICY_ENFORCEMENT: 'required',
        SESSION_ID: 'session-1',
        INITIAL_PROMPT_FILE: '/nowhere/prompt.txt',
        REPOS_JSON: JSON.stringify([{ url: `${server.url}/app.git` }]),
        ACTIVE_WORKFLOW_GIT_URL: `${server.url}/flow.git`,
        ACTIVE_WORKFLOW_PATH: 'one',
      })
    })
    afterAll(async () => {
      await bench.close()
      await server.close()
    })

    test('it is the working directory, and it and the repositories may be written', async () => {
      const text = textOf(await run(runner.url, runInput('session-1', 'work')))
      expect(text).toContain(`[${join(bench.workspace, 'workflows/flow')}]`)
      expect(text).not.toMatch(/^0$/m)
      expect(text).toContain('M src/code.txt')
      expect(readFileSync(join(bench.workspace, 'workflows/flow/made.txt'), 'utf8')).toBe('made\n')
    })

    test('its settings, and what git would run or follow in a repository, may not', async () => {
      await run(runner.url, runInput('session-1', 'trust'))
      expect(readFileSync(join(bench.workspace, 'workflows/flow/.claude/settings.json'), 'utf8')).toBe(
        SETTINGS,
      )
      const git = join(bench.workspace, 'repos/app/.git')
      expect(existsSync(join(git, 'hooks/post-checkout'))).toBe(false)
      expect(readFileSync(join(git, 'config'), 'utf8')).not.toContain('x\n')
    })
  },
)
