// Ways around what guards git-later.test.ts: what is found when a process starts must not be what another one just made,
// nor hide in an index too long to list, in a folder that cannot be written, or behind a name the shell makes.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Enforcement } from '../../src/sandbox/enforcement.ts'
import { missingNeed } from '../sandbox/needs.ts'
import { asPerson, confine, ended, startInside } from '../support/confined.ts'

const reason = missingNeed()
const INNER =
  "git init -q inner; git -C inner commit -q --allow-empty -m x; git update-index --add --cacheinfo 160000,$(git -C inner rev-parse HEAD),inner; git -C inner config core.fsmonitor $PWD/evil.sh; printf '#!/bin/sh\\ntouch %s/../marker\\n' $PWD > evil.sh; chmod 755 evil.sh"

let directory: string
let workspace: string
let enforcement: Enforcement

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'agui-git-around-'))
  chmodSync(directory, 0o755)
  workspace = join(directory, 'workspace')
  const state = join(directory, 'state')
  mkdirSync(join(workspace, 'tools'), { recursive: true })
  mkdirSync(state)
  writeFileSync(join(workspace, 'tools/clean.sh'), '#!/bin/sh\nexec cat\n', { mode: 0o755 })
  writeFileSync(join(workspace, 'a.txt'), 'a\n')
  person('git init -q -b main; git add .; git commit -qm one')
  enforcement = await confine(workspace, state)
})
afterEach(async () => {
  await enforcement.close()
  rmSync(directory, { recursive: true, force: true })
})

const person = (script: string): string => asPerson(script, workspace)
const agent = (script: string): Promise<ChildProcess> => startInside(enforcement, workspace, script)

/** What a person does later, when nothing runs any more, executes nothing of the agent's. */
async function expectHarmless(): Promise<void> {
  await enforcement.close()
  person("git -c safe.directory='*' status >/dev/null 2>&1; true")
  expect(existsSync(join(directory, 'marker'))).toBe(false)
}

describe.skipIf(reason !== undefined)(`around the guard of git (${reason ?? 'bubblewrap is here'})`, () => {
  test('a repository that a living process made is not known, and trusted, because another one starts', async () => {
    const first = await agent(`${INNER}; echo made; read -r line`)
    await once(first.stdout ?? first, 'data')
    await ended(await agent('true'))
    await ended(first)
    await expectHarmless()
    expect(readdirSync(join(workspace, 'inner'))).toEqual(['.git.set-aside-by-agui-runner'])
  })

  test('nor one in an index whose list is longer than we read', async () => {
    const folder = Array.from({ length: 18 }, () => 'd'.repeat(200)).join('/')
    const list = `i=0; blob=$(git hash-object a.txt); while [ $i -lt 19000 ]; do printf '100644 %s\\t%s/%s\\n' $blob ${folder} $i; i=$((i+1)); done | git update-index --index-info; git update-index --index-version 4`
    await ended(await agent(`${INNER}; ${list}`))
    await expectHarmless()
  })

  test('an index of more repositories than we read is set aside itself', async () => {
    const folder = Array.from({ length: 18 }, () => 'd'.repeat(200)).join('/')
    const list = `i=0; while [ $i -lt 19000 ]; do printf '160000 %s\\t%s/%s\\n' $(printf '%040d' 1) ${folder} $i; i=$((i+1)); done > list; git update-index --index-info < list; git update-index --index-version 4`
    await ended(await agent(`${INNER}; ${list.replace("$(printf '%040d' 1)", '1'.repeat(40))}`))
    await expectHarmless()
    expect(readdirSync(join(workspace, '.git'))).toContain('index.set-aside-by-agui-runner')
  })

  test.each(['555', '111', '000'])('nor one in a folder of mode %s', async (mode) => {
    await ended(await agent(`${INNER}; chmod ${mode} inner`))
    await enforcement.close()
    chmodSync(join(workspace, 'inner'), 0o755)
    await expectHarmless()
  })

  test.each([
    '$(git rev-parse --show-toplevel)/tools/clean.sh',
    '$PWD/tools/clean.sh',
    '"$PWD"/tools/clean.sh %f',
  ])('a program of the workspace that is called %s stays the person’s', async (command) => {
    person(`git config filter.e.clean '${command}'; echo '*.txt filter=e' > .gitattributes`)
    await ended(
      await agent(
        `printf '#!/bin/sh\\ntouch %s/../marker\\ncat\\n' $PWD > e; chmod 755 e; cp -f e tools/clean.sh; mv -f e tools/clean.sh; mv tools x; mkdir tools; cp x/clean.sh tools; touch -d @1 a.txt`,
      ),
    )
    await expectHarmless()
  })
})
