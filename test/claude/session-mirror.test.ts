// A session's transcripts come back into a folder that the agent itself can write.
import { execFileSync } from 'node:child_process'
import {
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SessionMirror } from '../../src/claude/session-mirror.ts'

const SAID = '{"type":"user","uuid":"1"}'
const FACTS = '{"type":"agent_metadata","agentType":"looker"}'
const STORED = new Map([
  ['project/session', [SAID]],
  ['project/session/subagents/agent-1', [FACTS, SAID]],
])

let directory: string
let claudeState: string
let projects: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'agui-mirror-'))
  claudeState = join(directory, 'claude')
  projects = join(claudeState, 'projects')
  mkdirSync(claudeState)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

async function restore(stored: ReadonlyMap<string, string[]> = STORED): Promise<void> {
  const store = {
    append: () => Promise.reject(new Error('nothing is written')),
    names: async () => [...stored.keys()],
    read: async (_thread: string, name: string) => stored.get(name) ?? [],
  }
  await new SessionMirror({ store, threadId: 't', claudeState }).restore('session')
}

test('the files are there, of the folder’s owner, and what has the last entry stays', async () => {
  const isRoot = process.getuid?.() === 0
  if (isRoot) chownSync(claudeState, 10001, 0)
  await restore()
  const [main, sub] = [join(projects, 'project/session'), join(projects, 'project/session/subagents/agent-1')]
  expect(readFileSync(`${main}.jsonl`, 'utf8')).toBe(`${SAID}\n`)
  expect(JSON.parse(readFileSync(`${sub}.meta.json`, 'utf8'))).toEqual({ agentType: 'looker' })
  const { uid } = statSync(claudeState)
  for (const path of [projects, join(main, 'subagents'), `${main}.jsonl`, `${sub}.jsonl`])
    expect([path, statSync(path).uid]).toEqual([path, uid])
  writeFileSync(`${main}.jsonl`, `${SAID}\n{"later":true}\n`)
  await restore()
  expect(readFileSync(`${main}.jsonl`, 'utf8')).toContain('later')
})

test.each(['session.jsonl.new', 'session.jsonl'])('a link in place of %s leads nowhere', async (name) => {
  const target = join(directory, 'elsewhere')
  writeFileSync(target, 'mine')
  mkdirSync(join(projects, 'project'), { recursive: true })
  symlinkSync(target, join(projects, 'project', name))
  await restore()
  expect(readFileSync(target, 'utf8')).toBe('mine')
  const file = join(projects, 'project/session.jsonl')
  expect([lstatSync(file).isFile(), readFileSync(file, 'utf8')]).toEqual([true, `${SAID}\n`])
})

test('a folder that is a link to elsewhere is refused, and a pipe is not waited for', async () => {
  const elsewhere = join(directory, 'elsewhere')
  mkdirSync(elsewhere)
  mkdirSync(projects)
  symlinkSync(elsewhere, join(projects, 'project'))
  await expect(restore()).rejects.toMatchObject({ code: 'path_outside_workspace' })
  rmSync(join(projects, 'project'))
  mkdirSync(join(projects, 'project'))
  execFileSync('mkfifo', [join(projects, 'project/session.jsonl')])
  await restore()
  expect(readFileSync(join(projects, 'project/session.jsonl'), 'utf8')).toBe(`${SAID}\n`)
})

test.each(['{"type":"us', '[]', '"user"', ''])(
  'a stored line %j is refused by its transcript',
  async (line) => {
    const damaged = restore(new Map([['project/session', [SAID, line]]]))
    await expect(damaged).rejects.toMatchObject({
      code: 'storage_damaged',
      message: expect.stringContaining('"project/session"'),
    })
  },
)
