// What an agent left in a repository must execute nothing when somebody uses git there afterwards, outside.
// AGUI_OTHER_GIT is the command of another git, such as a newer one, that is tried beside the installed one.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingNeed } from '../sandbox/needs.ts'
import { confine, ended, startInside } from '../support/confined.ts'
import { attackScript, executed, gitNames, lay, NAMES, workBare } from '../support/git-attacks.ts'

const reason = missingNeed()

const BARE_ROUNDS = 4

describe.skipIf(reason !== undefined)(`git afterwards (${reason ?? 'bubblewrap is here'})`, () => {
  let directory: string
  let enforced: string[]
  let harmless = NAMES
  let before: ReadonlyMap<string, string[]>
  let after: ReadonlyMap<string, string[]>

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'agui-git-later-'))
    const world = join(directory, 'enforced')
    const workspace = join(world, 'workspace')
    before = lay(workspace, world)
    await workInside(workspace, world)
    after = new Map(NAMES.map((name) => [name, gitNames(workspace, name)]))
    enforced = executed(workspace, world)
    // Whether git looks again at what it has in its index hangs on times of files: what did not execute once is tried anew.
    for (let round = 1; round <= BARE_ROUNDS && harmless.length > 0; round++) {
      const executions = workBare(join(directory, `bare-${round}`), harmless)
      harmless = harmless.filter((name) => ofAttempt(executions, name).length === 0)
    }
  }, 120_000)
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test.each(NAMES)('%s', (name) => {
    expect(ofAttempt(enforced, name)).toEqual([])
  })

  test('without a sandbox they execute: the attempts are real', () => {
    expect(harmless).toEqual([])
  })

  test('nothing of the repositories is left behind by the protection', () => {
    for (const [place, entries] of before) expect([place, after.get(place)]).toEqual([place, entries])
  })
})

function ofAttempt(executions: readonly string[], name: string): string[] {
  return executions.filter((one) => one.startsWith(`${name}: `))
}

async function workInside(workspace: string, world: string): Promise<void> {
  const state = join(world, 'state')
  mkdirSync(state)
  const enforcement = await confine(workspace, state)
  await ended(await startInside(enforcement, workspace, attackScript(workspace)))
  await enforcement.close()
}
