// What git is asked of a repository that Claude Code can write: it may be made to wait, and then nobody else does.
import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { gitlinksOf, settingsIn } from '../../src/sandbox/bwrap/git-facts.ts'
import { turn } from '../support/event-log.ts'

let worktree: string
beforeEach(() => {
  worktree = mkdtempSync(join(tmpdir(), 'agui-git-facts-test-'))
  git('init', '-q', '-b', 'main')
})
afterEach(() => rmSync(worktree, { recursive: true, force: true }))

function git(...words: string[]): void {
  execFileSync('git', words, {
    cwd: worktree,
    stdio: 'pipe',
    env: { PATH: process.env['PATH'], HOME: worktree },
  })
}

const linksOf = (): Promise<string[] | undefined> => gitlinksOf(join(worktree, '.git'), worktree)

test('the index says which paths are other repositories', async () => {
  writeFileSync(join(worktree, 'file'), '')
  git('add', 'file')
  expect(await linksOf()).toEqual([])
  git('update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},a b/inner`)
  expect(await linksOf()).toEqual(['a b/inner'])
})

test('settings are read from one file, and what git cannot read has none', async () => {
  git('config', 'include.path', '../other')
  git('config', 'core.hooksPath', 'two\nlines')
  const file = join(worktree, '.git/config')
  expect(await settingsIn(file)).toEqual(
    expect.arrayContaining([
      { key: 'include.path', value: '../other' },
      { key: 'core.hookspath', value: 'two\nlines' },
    ]),
  )
  writeFileSync(file, '[broken')
  expect([await settingsIn(file), await settingsIn(join(worktree, 'none'))]).toEqual([undefined, undefined])
})

test('a git that waits for a pipe keeps nobody else waiting', async () => {
  const pipe = join(worktree, 'pipe')
  execFileSync('mkfifo', [pipe])
  git('config', 'include.path', pipe)
  const held = openSync(pipe, constants.O_RDWR)
  let isAnswered = false
  const asked = linksOf().finally(() => {
    isAnswered = true
  })
  for (let turns = 0; turns < 50; turns += 1) await turn()
  expect(isAnswered).toBe(false)
  // Now there is something to read there, and nothing in it.
  renameSync(pipe, `${pipe}.away`)
  writeFileSync(pipe, '')
  closeSync(held)
  expect(await asked).toEqual([])
})
