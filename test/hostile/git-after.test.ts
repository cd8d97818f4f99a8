// Ways around what is done when a run or a process has ended: what is made later, by what was left behind, by a runner's
// death, over several processes, above the workspace, or by way of links.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Enforcement } from '../../src/sandbox/enforcement.ts'
import { missingNeed } from '../sandbox/needs.ts'
import { events, post, runInput } from '../support/client.ts'
import { asPerson, confine, ended, startInside } from '../support/confined.ts'
import { claudeOf, processesWith } from '../support/processes.ts'
import { type Bench, openBench } from '../support/runner.ts'

const reason = missingNeed()
const ASIDE = '.git.set-aside-by-agui-runner'

/** A program that leaves a file beside the workspace, which only what runs outside can do. */
const EVIL = (marker: string): string =>
  `printf '#!/bin/sh\\ntouch ${marker}\\n' > evil.sh; chmod 755 evil.sh`
const INNER =
  'git init -q inner; git -C inner -c user.name=e -c user.email=e@e commit -q --allow-empty -m x; git -C inner config core.fsmonitor $PWD/evil.sh'
const NAMED = 'git update-index --add --cacheinfo 160000,$(git -C inner rev-parse HEAD),inner'

let directory: string
let workspace: string
let marker: string
const open: Enforcement[] = []
const renamed: string[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'agui-git-after-'))
  chmodSync(directory, 0o755)
  workspace = join(directory, 'above/workspace')
  marker = join(directory, 'marker')
  mkdirSync(workspace, { recursive: true })
  mkdirSync(join(directory, 'state'))
})
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
  renamed.length = 0
  rmSync(directory, { recursive: true, force: true })
})

async function enforce(): Promise<Enforcement> {
  const enforcement = await confine(workspace, join(directory, 'state'), (paths) => renamed.push(...paths))
  open.push(enforcement)
  return enforcement
}

const person = (script: string, at = workspace): string => asPerson(script, at)

const REPOSITORY = 'git init -q -b main; echo a > a.txt; git add .; git commit -qm one'

const agent = (enforcement: Enforcement, script: string): Promise<ChildProcess> =>
  startInside(enforcement, workspace, script)

/** A whole process, and all that is done behind it. */
async function life(enforcement: Enforcement, script: string): Promise<void> {
  await ended(await agent(enforcement, script))
  await enforcement.close()
}

function expectHarmless(at = workspace): void {
  person("git -c safe.directory='*' status >/dev/null 2>&1; true", at)
  expect(existsSync(marker)).toBe(false)
}

describe.skipIf(reason !== undefined)(`after a run (${reason ?? 'bubblewrap is here'})`, () => {
  test.each([
    [
      'in a session of its own, without its environment',
      "setsid env -i sh -c 'while :; do sleep 47119; done' &",
    ],
    [
      'that starts itself anew all the time',
      "printf '#!/bin/sh\\nsleep 0.001 47119\\n(setsid ./hop &)\\n' > hop; chmod 755 hop; (setsid ./hop &)",
    ],
    [
      'whose first thread has ended',
      "setsid python3 -c 'import ctypes, threading, time; threading.Thread(target=lambda: time.sleep(47119)).start(); ctypes.CDLL(None).pthread_exit(0)' &",
    ],
  ])('what a command left behind ends, %s; what was started goes on', async (_what, leave) => {
    const enforcement = await enforce()
    writeFileSync(join(workspace, 'leave'), leave)
    const child = await agent(enforcement, 'sh leave; echo left; read -r line; echo on')
    await once(child.stdout ?? child, 'data')
    expect(await enforcement.endLeftovers(child)).toBeGreaterThan(0)
    expect(processesWith('47119')).toEqual([])
    expect(await enforcement.endLeftovers(child)).toBe(0)
    child.stdin?.write('\n')
    expect(String((await once(child.stdout ?? child, 'data'))[0])).toBe('on\n')
  })

  test('a repository of one process is not the person’s when the next one starts, whatever names it then', async () => {
    person(REPOSITORY)
    await life(await enforce(), `${EVIL(marker)}; ${INNER}`)
    await life(await enforce(), NAMED)
    expect(readdirSync(join(workspace, 'inner'))).toEqual([ASIDE])
    expect(renamed).toEqual([join(workspace, 'inner/.git')])
    expectHarmless()
  })

  test('a repository that a person makes between two processes stays', async () => {
    person(REPOSITORY)
    await life(await enforce(), 'true')
    person(`git init -q inner; git -C inner commit -q --allow-empty -m x; ${NAMED}`)
    await life(await enforce(), 'true')
    expect([readdirSync(join(workspace, 'inner')), renamed]).toEqual([['.git'], []])
  })

  test('what settings name elsewhere makes nothing in the workspace, and keeps nothing from being made', async () => {
    person(
      `${REPOSITORY}; git config core.excludesFile '~/ignore'; git config core.hooksPath '~/hooks'; git config notes.displayRef refs/notes/x; git config filter.e.clean '~/tools/clean %f'`,
    )
    await life(await enforce(), 'ls -A > seen; mkdir refs')
    expect(readFileSync(join(workspace, 'seen'), 'utf8').split('\n')).not.toContain('~')
    expect(readdirSync(workspace).sort()).toEqual(['.git', 'a.txt', 'refs', 'seen'])
  })

  describe('in a folder of a repository', () => {
    const above = (): string => join(directory, 'above')
    const hook = 'mkdir -p hooks; cp evil.sh hooks/post-index-change; cp evil.sh hooks/fsmonitor'

    test.each([
      ['hooks', 'git config core.hooksPath workspace/hooks', hook],
      ['its file monitor', 'git config core.fsmonitor workspace/hooks/fsmonitor', hook],
      [
        'an included file',
        'git config include.path ../workspace/more',
        'printf "[core]\\nfsmonitor=workspace/evil.sh\\n" > more',
      ],
      [
        'its attributes, with a filter of its own',
        'git config core.attributesFile workspace/attributes; git config filter.e.clean workspace/evil.sh',
        'echo "* filter=e" > attributes; touch -d @1 a.txt',
      ],
      [
        'a submodule that is not there yet',
        'git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),workspace/inner',
        INNER,
      ],
    ])('what it names in the workspace cannot be made there: %s', async (_what, before, inside) => {
      writeFileSync(join(workspace, 'a.txt'), 'a\n')
      person(`${REPOSITORY}; ${before}`, above())
      await life(await enforce(), `${EVIL(marker)}; ${inside}`)
      expectHarmless(above())
      expectHarmless()
    })

    test.each([
      ['a repository', `git init -q; git config core.fsmonitor $PWD/evil.sh`, ASIDE],
      [
        'one without a .git',
        'git init -q --bare .; git config core.bare false; git config core.worktree $PWD; git config core.fsmonitor $PWD/evil.sh',
        'HEAD.set-aside-by-agui-runner',
      ],
    ])('the workspace is not made into %s of its own', async (_what, inside, name) => {
      person(REPOSITORY, above())
      await life(await enforce(), `${EVIL(marker)}; ${inside}`)
      expect(readdirSync(workspace)).toContain(name)
      expectHarmless()
    })
  })

  test.each([
    ['its settings', 'git config -f real/config core.fsmonitor $PWD/evil.sh'],
    [
      'the link',
      `rm .git; cp -r real other; git config -f other/config core.fsmonitor $PWD/evil.sh; ln -s other .git`,
    ],
    ['the link, by a repository', `rm .git; git init -q; git config core.fsmonitor $PWD/evil.sh`],
    ['the folder', 'mv real other; cp -r other real; git config -f real/config core.fsmonitor $PWD/evil.sh'],
  ])('a .git that is a link is followed, and put back: %s', async (_what, inside) => {
    person(`${REPOSITORY}; mv .git real; ln -s real .git`)
    await life(await enforce(), `${EVIL(marker)}; ${inside}`)
    expect(readlinkSync(join(workspace, '.git'))).toBe('real')
    expectHarmless()
  })

  test.each([['nowhere'], ['.git'], ['/etc'], ['a.txt'], ['..']])(
    'a .git and a .claude that lead to %s are no hindrance, and stay',
    async (target) => {
      person(`echo a > a.txt; ln -s ${target} .git; ln -s ${target} .claude; ln -s ${target} .mcp.json`)
      await life(await enforce(), 'rm -f .git .claude; mkdir .claude .git; echo made > made.txt')
      expect(['.git', '.claude', '.mcp.json'].map((name) => readlinkSync(join(workspace, name)))).toEqual([
        target,
        target,
        target,
      ])
      expect(readFileSync(join(workspace, 'made.txt'), 'utf8')).toBe('made\n')
    },
  )

  test('settings behind a .claude that is a link are frozen', async () => {
    person('mkdir real; echo {} > real/settings.json; echo {} > mcp; ln -s real .claude; ln -s mcp .mcp.json')
    await life(
      await enforce(),
      'echo evil > .claude/settings.json; echo evil > real/settings.json; mv real other; echo evil > .mcp.json',
    )
    expect(readFileSync(join(workspace, '.claude/settings.json'), 'utf8')).toBe('{}\n')
    expect(readFileSync(join(workspace, '.mcp.json'), 'utf8')).toBe('{}\n')
  })
})

describe.skipIf(reason !== undefined)('after a run of Claude Code', () => {
  let bench: Bench
  afterEach(() => bench.close())

  test('its commands leave nothing running, and a runner that was killed finishes its work at the next start', async () => {
    const LOCAL = { OPENSHELL_SANDBOX: '', POLICY_ENFORCEMENT: 'required' }
    const made = `${EVIL(marker)}; ${INNER}; ${NAMED}`
    bench = await openBench({
      script: {
        rules: [
          {
            when: { prompt: 'leave', round: 0 },
            reply: [
              { tool: 'Bash', input: { command: 'setsid env -i sleep 47120 >/dev/null 2>&1 & echo left' } },
            ],
          },
          { when: { prompt: 'make', round: 0 }, reply: [{ tool: 'Bash', input: { command: made } }] },
          { when: { prompt: 'make', round: 1 }, reply: [{ text: 'made' }, { hang: true }] },
          { reply: 'done' },
        ],
      },
    })
    workspace = bench.workspace
    person(REPOSITORY)
    const first = await bench.start(LOCAL)
    await events(await post(first.url, runInput('t', 'leave')))
    expect(processesWith('sleep 47120')).toEqual([])
    expect(claudeOf(bench)).not.toEqual([])
    const response = await post(first.url, runInput('t', 'make'))
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    for (let text = ''; !text.includes('"delta":"made"'); ) text += (await reader?.read())?.value ?? ''
    expect(readdirSync(join(workspace, 'inner'))).toEqual(['.git'])
    await first.stop('SIGKILL')
    const second = await bench.start(LOCAL)
    expect(readdirSync(join(workspace, 'inner'))).toEqual([ASIDE])
    expect(await second.line(({ renamed: paths }) => paths !== undefined)).toMatchObject({
      renamed: [join(workspace, 'inner/.git')],
    })
    expectHarmless()
  })
})
