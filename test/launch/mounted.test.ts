// A folder that is mounted into a launch: what the agent leaves in it executes nothing for whoever uses git there later.
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Isolation } from '../../src/launch/isolation.ts'
import { INSIDE } from '../../src/launch/plan.ts'
import { type LaunchSettings, type PreparedLaunch, prepareLaunch } from '../../src/launch/prepare.ts'
import { ProcessIsolation } from '../../src/launch/process-place.ts'
import { sweep } from '../../src/launch/sweep.ts'
import { GIT_ENV } from '../support/confined.ts'
import { attackScript, executed, gitNames, lay } from '../support/git-attacks.ts'
import { git } from '../support/git-server.ts'

const ROOT = new URL('../..', import.meta.url).pathname
const TOKEN = 'ghs_of-a-checkout-action'
const GONE = 4_194_305

let directory: string
let workspace: string
const said: string[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'agui-mounted-'))
  workspace = join(directory, 'workspace')
  mkdirSync(workspace)
  said.length = 0
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const LIMITS = { memoryBytes: 1, pids: 1, cpus: 1, logBytes: 1, stopGraceMs: 1 }

/** Prepares a launch whose one program is this script; root's folders are given to somebody else first. */
async function prepare(
  script: string,
  given: { run?: string; isGitHidden?: boolean; pid?: number; source?: string } = {},
): Promise<PreparedLaunch> {
  const { run = 'one', isGitHidden = false, pid = process.pid, source = workspace } = given
  if (process.getuid?.() === 0) execFileSync('chown', ['-hR', '10001:0', workspace])
  const processes = new ProcessIsolation(ROOT)
  const isolation: Isolation = {
    kind: 'process',
    image: undefined,
    need: () => Promise.resolve(),
    place: (request) =>
      processes.place({ ...request, plan: { ...request.plan, command: ['/bin/sh', '-c', script] } }),
  }
  const settings: LaunchSettings = {
    ...{ isolation, run, mode: 'private', limits: LIMITS, parent: directory, forbidden: [], secrets: [] },
    workspace: {
      ...{ kind: 'mount', source, isGitHidden, path: GIT_ENV.PATH },
      ...{ branch: 'agui/one', base: undefined, depth: undefined },
    },
    environment: Object.fromEntries(
      Object.entries(GIT_ENV).filter(([name]) => /^GIT_(AUTH|COMM)/.test(name)),
    ),
    door: {
      environment: {},
      folder: (own) => own,
      open: () => Promise.reject(new Error('nothing is asked for')),
    },
    signal: new AbortController().signal,
    say: (line) => said.push(line),
  }
  return await prepareLaunch(settings, { pid, started: '1', startedAt: new Date() })
}

/** The script to its end. Returns what it printed. */
async function work({ place }: PreparedLaunch): Promise<string> {
  await place.start()
  await place.ended(new AbortController().signal)
  const printed = await place.logs()
  await place.remove()
  return printed
}

const folders = (): string[] => readdirSync(directory).filter((name) => name.startsWith('agui-launch-'))

test('every attempt on somebody’s git fails, and the folder is as it was', async () => {
  const before = lay(workspace, directory)
  const prepared = await prepare(attackScript(workspace, INSIDE.workspace))
  await work(prepared)
  await prepared.remove()
  expect(executed(workspace, directory)).toEqual([])
  for (const [name, names] of before) expect([name, gitNames(workspace, name)]).toEqual([name, names])
  expect(said.filter((line) => line.includes('.git was set aside')).length).toBeGreaterThan(0)
  expect(folders()).toEqual([])
}, 60_000)

const PROBE = `cd ${INSIDE.workspace}; git add . && git commit -qm inside && git log -1 --format=%s; grep -rsl ${TOKEN} .; ls .git | wc -l`

/** With a token where a checkout action leaves one: in its own settings, and in a submodule's. */
function layTokens(): void {
  git(directory, 'init', '-q', 'inner')
  git(join(directory, 'inner'), 'commit', '-q', '--allow-empty', '-m', 'inner')
  git(workspace, 'init', '-q', '-b', 'main')
  git(workspace, '-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', '../inner', 'sub')
  for (const folder of [workspace, join(workspace, 'sub')])
    git(folder, 'config', 'http.extraheader', `AUTHORIZATION: basic ${TOKEN}`)
}

test('it can be committed in, and no token of its settings is there', async () => {
  layTokens()
  const prepared = await prepare(PROBE)
  const printed = await work(prepared)
  await prepared.remove()
  expect(printed.split('\n')).toEqual(['inside', expect.stringMatching(/^\d+$/)])
  expect(git(workspace, '-c', 'safe.directory=*', 'log', '--format=%an %s').trim()).toBe('t inside')
})

test.each(['a folder', 'a worktree'])(
  'in %s of a repository there is no git, which is said',
  async (kind) => {
    git(directory, 'init', '-q', 'inner')
    const top = kind === 'a folder' ? workspace : join(workspace, 'tree')
    if (kind === 'a folder') git(workspace, 'init', '-q')
    else {
      git(join(directory, 'inner'), 'commit', '-q', '--allow-empty', '-m', 'one')
      git(join(directory, 'inner'), 'worktree', 'add', '-q', top)
    }
    const source = join(top, 'part', 'of')
    mkdirSync(source, { recursive: true })
    const notice = `${source} is a folder of the repository ${top}, which is not mounted with it`
    for (const [isGitHidden, lines] of [
      [false, [expect.stringContaining(notice)]],
      [true, []],
    ] as const) {
      said.length = 0
      await (await prepare('true', { source, isGitHidden })).remove()
      expect(said).toEqual(lines)
    }
    // A repository of its own is there.
    git(source, 'init', '-q')
    await (await prepare('true', { source })).remove()
    expect(said).toEqual([])
  },
)

test('a .git that is hidden has nothing, of a worktree too, and stays', async () => {
  layTokens()
  const hidden = await prepare(`${PROBE}; rm -rf .git; mv .git x`, { isGitHidden: true })
  expect((await work(hidden)).split('\n').filter((line) => /^\d+$|inside|token/.test(line))).toEqual(['0'])
  await hidden.remove()
  rmSync(workspace, { recursive: true })
  const [main, at] = [join(directory, 'inner'), ['-c', 'safe.directory=*']]
  git(main, 'worktree', 'add', '-q', workspace)
  const pointer = readFileSync(join(workspace, '.git'), 'utf8')
  await expect(prepare('true')).rejects.toThrow('.git is not a folder')
  const linked = await prepare(`cd ${INSIDE.workspace}; cat .git; rm -f .git; echo x >.git`, {
    isGitHidden: true,
  })
  expect(await work(linked)).not.toContain('gitdir')
  await linked.remove()
  expect(readFileSync(join(workspace, '.git'), 'utf8')).toBe(pointer)
  expect(git(main, ...at, 'worktree', 'list')).toContain(workspace)
})

test('a .git in which nothing could be committed is refused, and nothing is left of the attempt', async () => {
  git(workspace, 'init', '-q')
  const names = readdirSync(join(workspace, '.git')).sort()
  rmSync(join(workspace, '.git/hooks'), { recursive: true })
  await (await prepare('true')).remove()
  symlinkSync('/nowhere', join(workspace, '.git/hooks'))
  await expect(prepare('true')).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('is not as git makes it'),
  })
  expect([readdirSync(join(workspace, '.git')).sort(), folders()]).toEqual([names, []])
})

test('a folder is mounted once at a time, and one in another too', async () => {
  mkdirSync(join(workspace, 'deep'))
  const first = await prepare('true')
  const refused = { code: 'config_invalid', message: expect.stringMatching(/is mounted by the run one/) }
  await expect(prepare('true', { run: 'two' })).rejects.toMatchObject(refused)
  await expect(prepare('true', { run: 'two', source: join(workspace, 'deep') })).rejects.toMatchObject(
    refused,
  )
  await first.remove()
  await (await prepare('true', { run: 'two' })).remove()
})

test('sweep does what a launcher that was killed has left undone', async () => {
  git(workspace, 'init', '-q')
  git(workspace, 'config', 'include.path', '../made/settings')
  const names = readdirSync(workspace).sort()
  const inner = 'git init -q inner; git -C inner commit -q --allow-empty -m x'
  const named = 'git update-index --add --cacheinfo 160000,$(git -C inner rev-parse HEAD),inner'
  const prepared = await prepare(`cd ${INSIDE.workspace}; ${inner}; ${named}`, { pid: GONE })
  await work(prepared)
  expect(readdirSync(join(workspace, '.git'))).toContain('commondir')
  writeFileSync(join(workspace, 'made/kept'), '')
  const swept = await sweep(undefined, {
    ...{ run: undefined, olderThanMs: undefined, parent: directory, path: GIT_ENV.PATH },
  })
  expect(swept).toEqual([
    { kind: 'aside', name: join(workspace, 'inner/.git') },
    { kind: 'folder', name: join(directory, folders()[0] ?? 'agui-launch-one') },
  ])
  // Of what stood in for absent names, what somebody has used stays.
  expect(readdirSync(workspace).sort()).toEqual([...names, 'inner', 'made'].sort())
  expect(readdirSync(join(workspace, 'made'))).toEqual(['kept'])
  expect(readdirSync(join(workspace, '.git'))).not.toContain('commondir')
  expect(folders()).toEqual([])
})
