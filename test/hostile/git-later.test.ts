// What an agent left in a repository must execute nothing when somebody uses git there afterwards, outside.
// AGUI_OTHER_GIT is the command of another git, such as a newer one, that is tried beside the installed one.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingNeed } from '../sandbox/needs.ts'
import { confine, ended, startInside } from '../support/confined.ts'
import { ATTACKS, attackScript, executed, gitNames, lay, workBare } from '../support/git-attacks.ts'

const reason = missingNeed()

const BARE_ROUNDS = 4

describe.skipIf(reason !== undefined)(`git afterwards (${reason ?? 'bubblewrap is here'})`, () => {
  let directory: string
  const names = Object.keys(ATTACKS)
  const outcomes = new Map<string, Set<string>>()
  const before = new Map<string, string[]>()
  const after = new Map<string, string[]>()

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'agui-git-later-'))
    const enforced = join(directory, 'enforced')
    lay(join(enforced, 'workspace'), enforced, before)
    await workInside(join(enforced, 'workspace'), enforced, after)
    outcomes.set('enforced', executed(join(enforced, 'workspace'), enforced))
    // Whether git looks again at what it has in its index hangs on times of files: what did not execute once is tried anew.
    const bare = new Set<string>()
    outcomes.set('bare', bare)
    for (let round = 1; round <= BARE_ROUNDS && harmless(bare).length > 0; round++) {
      const world = join(directory, `bare-${round}`)
      lay(join(world, 'workspace'), world, new Map())
      workBare(join(world, 'workspace'))
      for (const one of executed(join(world, 'workspace'), world)) bare.add(one)
    }
  }, 120_000)
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test.each(names)('%s', (name) => {
    expect([...(outcomes.get('enforced') ?? [])].filter((one) => one.startsWith(`${name}:`))).toEqual([])
  })

  test('without a sandbox they execute: the attempts are real', () => {
    expect(harmless(outcomes.get('bare') ?? new Set())).toEqual([])
  })

  test('nothing of the repositories is left behind by the protection', () => {
    for (const [place, entries] of before) expect([place, after.get(place)]).toEqual([place, entries])
  })
})

function harmless(executions: ReadonlySet<string>): string[] {
  return Object.keys(ATTACKS).filter((name) => ![...executions].some((one) => one.startsWith(`${name}:`)))
}

async function workInside(workspace: string, world: string, entries: Map<string, string[]>): Promise<void> {
  const state = join(world, 'state')
  mkdirSync(state)
  const enforcement = await confine(workspace, state)
  await ended(await startInside(enforcement, workspace, attackScript(workspace)))
  await enforcement.close()
  for (const name of Object.keys(ATTACKS)) entries.set(name, gitNames(workspace, name))
}
