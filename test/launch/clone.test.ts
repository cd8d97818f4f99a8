// Clones of a checkout as CI leaves one: shallow, on no branch, with what it has of origin.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fetchCommits, prepareMounted, type WorkspaceRequest } from '../../src/launch/mounted.ts'
import { git } from '../support/git-server.ts'

const directory = mkdtempSync(join(tmpdir(), 'agui-clone-'))
const [origin, checkout] = [join(directory, 'origin'), join(directory, 'checkout')]
afterAll(() => rmSync(directory, { recursive: true }))
beforeAll(() => {
  execFileSync('git', ['init', '-q', '-b', 'main', origin])
  const commit = (name: string): void => {
    writeFileSync(join(origin, name), name)
    git(origin, 'add', name)
    git(origin, 'commit', '-qm', name)
  }
  for (const name of ['one', 'two']) commit(name)
  git(origin, 'switch', '-qc', 'side')
  commit('three')
  git(origin, 'clone', '-q', '--depth', '2', '--no-single-branch', `file://${origin}`, checkout)
  git(checkout, 'switch', '-q', '--detach', 'side')
  git(checkout, 'branch', '-qD', 'side')
})

const prepare = async (name: string, wanted: Partial<WorkspaceRequest>): Promise<string> => {
  const [uid = 0, gid = 0] = [process.getuid?.(), process.getgid?.()]
  const { folder } = await prepareMounted({
    ...{ kind: 'clone', source: checkout, target: join(directory, name), isGitHidden: false },
    ...{ path: process.env['PATH'], branch: `agui/${name}`, base: undefined, depth: undefined },
    user: { uid, gid },
    ...wanted,
  })
  return folder
}
const subjects = (folder: string): string[] => [
  git(folder, 'branch', '--show-current').trim(),
  ...git(folder, 'log', '--format=%s').trim().split('\n'),
]

test('its HEAD, or the branch that is named, with the history that is wanted', async () => {
  expect(subjects(await prepare('head', {}))).toEqual(['agui/head', 'three', 'two', 'one'])
  expect(subjects(await prepare('depth', { depth: 1 }))).toEqual(['agui/depth', 'three'])
  expect(subjects(await prepare('base', { base: 'main' }))).toEqual(['agui/base', 'two', 'one'])
  expect(subjects(await prepare('both', { base: 'main', depth: 1 }))).toEqual(['agui/both', 'two'])
  await expect(prepare('none', { base: 'nowhere' })).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(/has no branch "nowhere": fetch it first/),
  })
})

test('what is new comes back, and what is not makes no ref', async () => {
  const target = await prepare('idle', { depth: 1 })
  const back = (folder: string, run: string) =>
    fetchCommits({ source: checkout, target: folder, path: process.env['PATH'] }, run)
  expect(await back(target, 'idle')).toEqual([])
  const working = await prepare('work', { base: 'main', depth: 1 })
  writeFileSync(join(working, 'new'), 'new')
  git(working, 'add', 'new')
  git(working, 'commit', '-qm', 'new')
  expect(await back(working, 'work')).toEqual(['refs/agui-runner/work/agui/work'])
  expect(git(checkout, 'for-each-ref', '--format=%(refname)', 'refs/agui-runner').trim()).toBe(
    'refs/agui-runner/work/agui/work',
  )
  git(checkout, 'fsck', '--no-progress')
})

test('the first commit of a repository comes back too', async () => {
  const source = join(directory, 'new')
  execFileSync('git', ['init', '-q', source])
  const target = await prepare('first', { source })
  const back = () => fetchCommits({ source, target, path: process.env['PATH'] }, 'first')
  expect(await back()).toEqual([])
  git(target, 'commit', '--quiet', '--allow-empty', '--message', 'first')
  expect(await back()).toEqual(['refs/agui-runner/first/agui/first'])
})

test('a folder is mounted when what is covered in its .git stands there itself', async () => {
  const source = join(directory, 'mounted')
  execFileSync('git', ['init', '-q', source])
  const mounted = () => prepare('mount', { kind: 'mount', source })
  expect(await mounted()).toBe(realpathSync(source))
  renameSync(join(source, '.git', 'hooks'), join(source, 'hooks'))
  await expect(mounted()).rejects.toThrow('hooks has to be a folder')
  symlinkSync('../hooks', join(source, '.git', 'hooks'))
  await expect(mounted()).rejects.toThrow('hooks has to be a folder')
})
