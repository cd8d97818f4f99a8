import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { toolGuard } from '../../../src/claude/launch/tool-guard.ts'

const root = realpathSync(mkdtempSync(join(tmpdir(), 'agui-runner-test-')))
const workspace = join(root, 'workspace')
mkdirSync(workspace)
mkdirSync(join(root, 'hidden'))
mkdirSync(join(root, 'fixed'))
writeFileSync(join(root, 'hidden', 'secret'), '')
symlinkSync(join(root, 'hidden'), join(workspace, 'link'))
symlinkSync(join(root, 'fixed', 'new.yaml'), join(workspace, 'dangling'))
symlinkSync(join(workspace, 'circle'), join(workspace, 'circle'))
afterAll(() => rmSync(root, { recursive: true }))

const [matcher] = toolGuard({ read: [join(root, 'hidden')], write: [join(root, 'fixed')] }, workspace)

async function ask(tool: string, input: unknown): Promise<string> {
  const hook = matcher?.hooks[0]
  if (hook === undefined) throw new Error('no hook')
  const asked = {
    hook_event_name: 'PreToolUse',
    tool_name: tool,
    tool_input: input,
    tool_use_id: 't',
  } as never
  const answer = await hook(asked, 't', { signal: new AbortController().signal })
  return JSON.stringify(answer).includes('"deny"') ? 'deny' : 'pass'
}

test('a check that breaks blocks the call', async () => {
  expect(matcher?.onFailure).toBe('block')
  await expect(ask('Read', { file_path: join(workspace, 'circle') })).rejects.toThrow('ELOOP')
})

test.each([
  ['Read', { file_path: 'note.txt' }, 'pass'],
  ['Write', { file_path: 'note.txt' }, 'pass'],
  ['Read', { file_path: join(root, 'hidden', 'secret') }, 'deny'],
  ['Read', { file_path: 'link/secret' }, 'deny'],
  ['Read', { file_path: '../hidden/secret' }, 'deny'],
  ['Read', { file_path: join(root, 'hidden-not') }, 'pass'],
  ['Glob', { pattern: join(root, 'hidden', '*') }, 'deny'],
  ['Glob', { pattern: '**/*.ts' }, 'pass'],
  ['Grep', { pattern: 'hidden', path: 'link' }, 'deny'],
  ['Read', { file_path: join(root, 'fixed', 'policy.yaml') }, 'pass'],
  ['Write', { file_path: join(root, 'fixed', 'policy.yaml') }, 'deny'],
  ['Edit', { file_path: join(root, 'hidden', 'secret') }, 'deny'],
  ['NotebookEdit', { notebook_path: join(root, 'fixed', 'a.ipynb') }, 'deny'],
  ['mcp__files__put', { path: join(root, 'fixed', 'x') }, 'deny'],
  ['Bash', { command: 'ls' }, 'pass'],
  ['Bash', null, 'pass'],
])('%s %j: %s', async (tool, input, verdict) => {
  expect(await ask(tool, input)).toBe(verdict)
})
