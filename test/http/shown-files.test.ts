// Files of the workspace for a person who looks at them: what differs from git's HEAD, and the text of a file.
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bodyOf } from '../support/client.ts'
import { git } from '../support/git-server.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

const TOKEN = 'ghp_16C7e42F292c6912E7710c838347Ae178B4a'
const KEY = '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\n-----END PRIVATE KEY-----\n'
const BIG_BYTES = 1024 * 1024 + 1

let runner: ScriptedRunner
let workspace: string

beforeAll(async () => {
  runner = await openScriptedRunner({ script: { rules: [] } })
  workspace = runner.config.workspace
  const write = (path: string, content: string | Buffer): void =>
    writeFileSync(join(workspace, path), content)
  const repository = join(workspace, 'repos/app')
  mkdirSync(join(repository, 'src'), { recursive: true })
  write('repos/app/src/a b.ts', 'one\ntwo\nthree\n')
  write('repos/app/gone.txt', 'was here\n')
  write('repos/app/picture.png', Buffer.from([0x89, 0x50, 0, 1]))
  write('repos/app/kept.txt', 'kept\n')
  git(workspace, 'init', '--quiet', '--initial-branch=main', 'repos/app')
  git(repository, 'add', '.')
  git(repository, 'commit', '--quiet', '--message=first')
  write('repos/app/src/a b.ts', `one\n2 ${TOKEN}\nthree\n${KEY}`)
  rmSync(join(repository, 'gone.txt'))
  write('repos/app/picture.png', Buffer.from([0x89, 0x50, 0, 2]))
  write('repos/app/added.txt', 'new\n')
  git(repository, 'add', 'added.txt')
  write('repos/app/src/[untracked].ts', 'x\ny\n')
  write('repos/app/huge.txt', 'x'.repeat(BIG_BYTES))
  symlinkSync('/etc/passwd', join(repository, 'out'))
  symlinkSync('kept.txt', join(repository, 'inside'))
  git(workspace, 'init', '--quiet', '--initial-branch=main', 'made')
  write('made/first.txt', 'first\n')
  write('latin.txt', Buffer.from([0xe9, 0x74]))
  execFileSync('mkfifo', [join(workspace, 'pipe')])
})
afterAll(() => runner.close())

const ask = async (route: string, query: Record<string, string> = {}) => {
  const response = await fetch(`${runner.url}/${route}?${new URLSearchParams(query)}`)
  return { status: response.status, body: await bodyOf(response) }
}
const change = (path: string, repository = 'repos/app') => ask('changes/file', { repository, path })

test('every file that differs from HEAD is listed with its lines, in every repository', async () => {
  const { body } = await ask('changes')
  const untracked = (path: string) => ({ path, state: 'untracked' })
  expect(body['repositories']).toEqual([
    // What the agent itself has made stands beside the clones.
    { repository: 'made', branch: 'main', truncated: false, files: [untracked('first.txt')] },
    {
      repository: 'repos/app',
      branch: 'main',
      truncated: false,
      files: [
        { path: 'added.txt', state: 'added', added: 1, removed: 0 },
        { path: 'gone.txt', state: 'deleted', added: 0, removed: 1 },
        untracked('huge.txt'),
        untracked('inside'),
        untracked('out'),
        { path: 'picture.png', state: 'modified', isBinary: true },
        untracked('src/[untracked].ts'),
        { path: 'src/a b.ts', state: 'modified', added: 4, removed: 1 },
      ],
    },
  ])
})

test.each([
  ['added.txt', { after: 'new\n' }],
  ['gone.txt', { before: 'was here\n' }],
  ['src/[untracked].ts', { after: 'x\ny\n' }],
  ['kept.txt', { before: 'kept\n', after: 'kept\n' }],
])('both sides of %s', async (path, sides) => {
  expect(await change(path)).toEqual({ status: 200, body: sides })
})

test('neither side holds a secret, one of several lines included', async () => {
  const { body } = await change('src/a b.ts')
  expect(body['before']).toBe('one\ntwo\nthree\n')
  expect(body['after']).toMatch(/^one\n2 .+\nthree\n/)
  const shown = await ask('content/text', { path: 'repos/app/src/a b.ts' })
  for (const text of [body['after'], shown.body['text']]) {
    expect(text).not.toContain(TOKEN)
    expect(text).not.toContain('MIIEvQ')
  }
})

test('a repository without a commit has only new files', async () => {
  expect(await change('first.txt', 'made')).toEqual({ status: 200, body: { after: 'first\n' } })
})

test.each([
  ['huge.txt', 413, 'too_large', /is too large: it has more than 1048576 bytes/],
  ['picture.png', 400, 'invalid_input', /no UTF-8 text; download/],
  ['out', 400, 'invalid_input', /is a link/],
  ['inside', 400, 'invalid_input', /is a link/],
  ['src', 400, 'invalid_input', /is a folder/],
  ['nowhere.txt', 404, 'not_found', /There is no "nowhere.txt"/],
  ['no/such/folder', 404, 'not_found', /There is no/],
  ['../../latin.txt', 400, 'path_outside_workspace', /leads out of the workspace/],
  ['/etc/passwd', 404, 'not_found', /There is no/],
  ['-- --output=x', 404, 'not_found', /There is no/],
])('a change that cannot be shown says why: %s', async (path, status, code, message) => {
  const answer = await change(path)
  expect([answer.status, answer.body['error'].code]).toEqual([status, code])
  expect(answer.body['error'].message).toMatch(message)
})

test('what is no repository has no changes', async () => {
  const answer = await change('latin.txt', '')
  expect(answer.body).toMatchObject({ error: { code: 'not_found' } })
})

test.each([
  ['latin.txt', 400, /no UTF-8 text/],
  ['repos/app/huge.txt', 413, /more than 1048576 bytes/],
  ['repos/app/out', 400, /leads out of the workspace/],
  ['pipe', 400, /a device, a pipe or a socket/],
  ['repos', 400, /is a folder/],
  ['', 400, /is a folder/],
  ['nowhere', 404, /There is no/],
])('a file that cannot be shown says why: %s', async (path, status, message) => {
  const answer = await ask('content/text', { path })
  expect(answer.status).toBe(status)
  expect(answer.body['error'].message).toMatch(message)
})

test('a file is shown as it is, through a link inside too, and as it grows', async () => {
  expect((await ask('content/text', { path: 'repos/app/inside' })).body).toEqual({ text: 'kept\n' })
  appendFileSync(join(workspace, 'repos/app/kept.txt'), 'ünd\\xE9\n')
  expect((await ask('content/text', { path: '/repos/app/kept.txt' })).body).toEqual({
    text: 'kept\nünd\\xE9\n',
  })
})
