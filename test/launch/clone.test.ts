// Clones of a checkout as CI leaves one: shallow, on no branch, with what it has of origin.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { uncommittedIn } from '../../src/launch/checkout.ts'
import { fetchCommits, prepareMounted, type WorkspaceRequest } from '../../src/launch/mounted.ts'
import { git } from '../support/git-server.ts'
import { SmallDisk } from '../support/small-disk.ts'

const isRoot = process.getuid?.() === 0
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

const prepareClone = (name: string, wanted: Partial<WorkspaceRequest>) => {
  const [uid = 0, gid = 0] = [process.getuid?.(), process.getgid?.()]
  return prepareMounted({
    ...{ kind: 'clone', source: checkout, target: join(directory, name) },
    ...{ path: process.env['PATH'], branch: `agui/${name}`, base: undefined, depth: undefined },
    user: { uid, gid },
    ...wanted,
  })
}
const prepare = async (name: string, wanted: Partial<WorkspaceRequest>): Promise<string> =>
  (await prepareClone(name, wanted)).folder
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

test('a folder of a repository is cloned with the whole of it, and is where the agent starts', async () => {
  const source = join(checkout, 'packages/app')
  mkdirSync(source, { recursive: true })
  const cloned = (name: string) => prepareClone(name, { source })
  await expect(cloned('absent')).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('packages/app is not in the commit that is cloned'),
  })
  writeFileSync(join(source, 'file'), '')
  git(checkout, 'add', '.')
  git(checkout, 'commit', '-qm', 'app')
  const { folder, startIn } = await cloned('app')
  expect([startIn, readdirSync(join(folder, startIn))]).toEqual(['packages/app', ['file']])
  expect(readdirSync(folder)).toContain('one')
})

test('what a clone lacks is counted: files that are new, changed and gone, in the whole repository', async () => {
  const source = join(directory, 'changing')
  git(directory, 'clone', '-q', origin, source)
  const count = () => uncommittedIn(join(source, 'deep'), { PATH: process.env['PATH'] })
  mkdirSync(join(source, 'deep'))
  expect(await count()).toBe(0)
  // Neither is run to find this out.
  git(source, 'config', 'core.fsmonitor', `touch ${join(directory, 'monitored')}; false`)
  writeFileSync(join(source, 'new\nname'), '')
  writeFileSync(join(source, 'one'), 'changed')
  rmSync(join(source, 'two'))
  expect([await count(), existsSync(join(directory, 'monitored'))]).toEqual([3, false])
  expect(await uncommittedIn(directory, { PATH: process.env['PATH'] })).toBe(0)
})

test('what an agent makes of its clone’s settings is not executed when its commits are fetched', async () => {
  const target = await prepare('settings', {})
  const marker = join(directory, 'executed')
  const program = join(target, 'evil')
  writeFileSync(program, `#!/bin/sh\ntouch ${marker}\nexit 1\n`, { mode: 0o755 })
  writeFileSync(join(target, 'new'), 'new')
  git(target, 'add', 'new')
  git(target, 'commit', '-qm', 'new')
  const blob = git(target, 'rev-parse', 'HEAD:new').trim()
  rmSync(join(target, '.git/objects', blob.slice(0, 2), blob.slice(2)))
  for (const [name, value] of [
    ['core.fsmonitor', program],
    ['core.sshCommand', program],
    ['uploadpack.packObjectsHook', program],
    ['core.alternateRefsCommand', program],
    ['extensions.partialClone', 'evil'],
    ['remote.evil.promisor', 'true'],
    ['remote.evil.url', `ext::${program}`],
    ['remote.evil.uploadpack', program],
    ['protocol.ext.allow', 'always'],
  ])
    git(target, 'config', name ?? '', value ?? '')
  for (const hook of ['post-checkout', 'pre-receive', 'reference-transaction', 'post-index-change'])
    symlinkSync(program, join(target, '.git/hooks', hook))
  const back = fetchCommits({ source: checkout, target, path: process.env['PATH'] }, 'settings')
  await expect(back).rejects.toThrow()
  expect(existsSync(marker)).toBe(false)
})

test.runIf(isRoot)('a checkout of somebody else is cloned when the user’s own git takes it', async () => {
  const source = join(directory, 'foreign')
  execFileSync('cp', ['-r', origin, source])
  execFileSync('chown', ['-R', '12345:12345', source])
  const env = { PATH: process.env['PATH'], HOME: join(directory, 'home') }
  mkdirSync(env.HOME)
  const remedy = `git config --global --add safe.directory ${source}`
  await expect(uncommittedIn(source, env)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining(remedy),
  })
  execFileSync('sh', ['-c', remedy], { env })
  expect(await uncommittedIn(source, env)).toBe(0)
  const target = await prepare('trusted', { source, base: 'main' })
  git(target, 'commit', '-q', '--allow-empty', '-m', 'new')
  const ref = 'refs/agui-runner/trusted/agui/trusted'
  expect(await fetchCommits({ source, target, path: env.PATH }, 'trusted')).toEqual([ref])
})

test('what git cannot clone is refused with its reason', async () => {
  const source = join(directory, 'broken')
  execFileSync('cp', ['-r', origin, source])
  rmSync(join(source, '.git/objects'), { recursive: true })
  await expect(prepare('never', { source })).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(/cannot be cloned: (?:fatal|error): /),
  })
})

test('no room for a clone is an error of its own, and nothing of it is left', async () => {
  const folder = join(directory, 'full')
  const disk = SmallDisk.mount('tmpfs', folder, 1024 * 1024)
  try {
    writeFileSync(join(folder, 'most'), Buffer.alloc(960 * 1024))
    const full = prepare('full', { target: join(folder, 'w') })
    await expect(full).rejects.toMatchObject({
      code: 'storage_full',
      message: expect.stringMatching(/^There is no room for a clone of .*checkout in .*full\./),
    })
    expect(readdirSync(folder)).toEqual(['most'])
  } finally {
    disk.unmount()
  }
})
