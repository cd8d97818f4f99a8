// What is asked for is what is checked out, or an error: never another commit under the name that was asked for.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { Git } from '../../src/workspace/git.ts'
import { Repositories } from '../../src/workspace/repositories.ts'
import { WorkspaceSetup } from '../../src/workspace/setup.ts'
import { Workflows } from '../../src/workspace/workflows.ts'
import { type GitServer, git, startGitServer } from '../support/git-server.ts'
import { NO_SIGNAL, openPlace, type Place } from './place.ts'

const NO_TOKENS = { github: undefined, gitlab: undefined }

let place: Place
let server: GitServer
let repositories: Repositories
/** Commits of the served repository, by what they are. */
let ids: { main: string; first: string; feature: string; hidden: string }

beforeAll(async () => {
  server = await startGitServer()
  server.addRepository('demo', { main: { version: 'first' }, feature: { version: 'feature' } })
  const first = server.git('demo', 'rev-parse', 'main')
  const commit = (message: string): string =>
    server.git('demo', 'commit-tree', '-p', first, '-m', message, `${first}^{tree}`)
  server.git('demo', 'tag', 'v1', first)
  server.git('demo', 'tag', '--annotate', '--message=one', 'v1-annotated', first)
  const main = commit('second')
  server.git('demo', 'update-ref', 'refs/heads/main', main)
  ids = { main, first, feature: server.git('demo', 'rev-parse', 'feature'), hidden: commit('on no branch') }
  // One name for two things; and a branch that is named as another commit.
  server.git('demo', 'tag', 'folder', `${first}^{tree}`)
  server.git('demo', 'branch', 'both', ids.feature)
  server.git('demo', 'tag', 'both', first)
  server.git('demo', 'update-ref', `refs/heads/${first}`, ids.feature)
  server.git('demo', 'update-ref', 'refs/pull/7/head', ids.hidden)
  server.addRepository('other/demo', { main: { version: 'other' } })
})
afterAll(() => server.close())
beforeEach(async () => {
  place = await openPlace()
  repositories = open(process.env['PATH'])
})
afterEach(() => place.close())

function open(PATH: string | undefined): Repositories {
  const git = new Git({ env: { PATH }, protocols: ['http'], timeoutMs: 20_000 })
  return new Repositories({ git, files: place.files, tokenHosts: { github: [], gitlab: [] } })
}

const at = (path: string): string => join(place.workspace, path)
const urlOf = (name: string): string => `${server.url}/${name}.git`
const request = (branch?: string, more: { name?: string; url?: string; keep?: boolean } = {}) => ({
  url: urlOf('demo'),
  branch,
  name: undefined,
  tokens: NO_TOKENS,
  signal: NO_SIGNAL,
  ...more,
})
const headOf = (folder: string): string => git(at(folder), 'rev-parse', 'HEAD').trim()
const workflowsOf = () => new Workflows({ repositories, files: place.files, protocols: ['http'] })

interface Wanted {
  what: string
  name: () => string
  commit: () => string
  branch?: string
}

const FOUND: readonly Wanted[] = [
  { what: 'a branch', name: () => 'feature', commit: () => ids.feature, branch: 'feature' },
  {
    what: 'a branch by its whole name',
    name: () => 'refs/heads/feature',
    commit: () => ids.feature,
    branch: 'feature',
  },
  { what: 'a commit', name: () => ids.first, commit: () => ids.first },
  { what: 'a commit in capitals', name: () => ids.first.toUpperCase(), commit: () => ids.first },
  { what: 'a commit on no branch', name: () => ids.hidden, commit: () => ids.hidden },
  { what: 'a tag', name: () => 'v1', commit: () => ids.first },
  { what: 'an annotated tag', name: () => 'v1-annotated', commit: () => ids.first },
  { what: 'a tag by its whole name', name: () => 'refs/tags/both', commit: () => ids.first },
  { what: 'a branch and a tag', name: () => 'both', commit: () => ids.feature, branch: 'both' },
  { what: 'another ref', name: () => 'refs/pull/7/head', commit: () => ids.hidden },
]
const headFor = ({ commit, branch }: Wanted) => ({
  branch: branch ?? 'HEAD',
  commit: commit(),
  isDetached: branch === undefined,
})
const MISSING = {
  'a typo': () => 'featrue',
  'a whole name that is none': () => 'refs/heads/v1',
  'a tag that is none': () => 'refs/tags/feature',
  'a part of an id': () => ids.first.slice(0, 10),
  'a commit of another repository': () => '0123456789'.repeat(4),
} satisfies Record<string, () => string>

test.each(FOUND)('a new clone is at $what', async (wanted) => {
  const { head, problems } = await repositories.add(request(wanted.name()))
  expect(head).toEqual(headFor(wanted))
  expect(problems).toEqual([])
  expect(headOf('repos/demo')).toBe(wanted.commit())
  expect(git(at('repos/demo'), 'status', '--porcelain')).toBe('')
  const { branch = 'HEAD', commit } = wanted
  const detached = wanted.branch === undefined ? { detached: true, commit: commit() } : {}
  expect(await repositories.status('repos/demo', NO_SIGNAL)).toMatchObject({ branch, ...detached })
  const [listed] = await repositories.list(NO_SIGNAL)
  expect(listed).toMatchObject({ currentActiveBranch: branch, ...detached })
  // No branch but the one that was asked for, and the remote's default.
  expect(listed?.branches.filter((known) => known !== branch && known !== 'main')).toEqual([])
})

test('a clone that is there goes to each of them in turn, and makes no other branch', async () => {
  await repositories.add(request())
  for (const wanted of FOUND) {
    const { head } = await repositories.add(request(wanted.name()))
    expect(head, wanted.what).toEqual(headFor(wanted))
    expect(headOf('repos/demo'), wanted.what).toBe(wanted.commit())
  }
  expect((await repositories.list(NO_SIGNAL))[0]?.branches).toEqual(['both', 'feature', 'main'])
})

test.each(Object.entries(MISSING))('nothing is at %s', async (_what, name) => {
  const refused = { code: 'not_found', message: expect.stringContaining(name()) }
  await expect(repositories.add(request(name()))).rejects.toMatchObject(refused)
  expect(readdirSync(at('repos'))).toEqual([])
  await repositories.add(request())
  await expect(repositories.add(request(name()))).rejects.toMatchObject(refused)
  expect(git(at('repos/demo'), 'branch', '--list').trim()).toBe('* main')
  expect(headOf('repos/demo')).toBe(ids.main)
})

test('a tag that leads to no commit is nothing to be at', async () => {
  const refused = { code: 'not_found', message: expect.stringContaining('no commit') }
  await expect(repositories.add(request('folder'))).rejects.toMatchObject(refused)
  expect(readdirSync(at('repos'))).toEqual([])
  await repositories.add(request())
  await expect(repositories.add(request('folder'))).rejects.toMatchObject(refused)
  expect(headOf('repos/demo')).toBe(ids.main)
})

test('a tag of the clone that is another one than the remote has stays as it is', async () => {
  await repositories.add(request())
  git(at('repos/demo'), 'tag', '--force', 'v1', ids.main)
  expect((await repositories.add(request('v1'))).head.commit).toBe(ids.first)
  expect(git(at('repos/demo'), 'rev-parse', 'v1').trim()).toBe(ids.main)
})

describe('a workflow', () => {
  const change = (workflows: Workflows, branch: string, name = 'demo') =>
    workflows.change({ gitUrl: urlOf(name), branch, path: '' }, { tokens: NO_TOKENS, signal: NO_SIGNAL })

  test('in a folder that the repository lacks is none', async () => {
    const choice = { gitUrl: urlOf('demo'), branch: '', path: 'no/where' }
    const changed = workflowsOf().change(choice, { tokens: NO_TOKENS, signal: NO_SIGNAL })
    await expect(changed).rejects.toMatchObject({ message: 'The repository has no folder "no/where".' })
  })

  // It asks the same of the same repositories: one of each kind of ref is enough here.
  test('goes to a branch, a commit, a tag and another ref in turn', async () => {
    const workflows = workflowsOf()
    const kinds = ['a branch', 'a commit on no branch', 'an annotated tag', 'another ref']
    for (const wanted of FOUND.filter(({ what }) => kinds.includes(what))) {
      expect(await change(workflows, wanted.name()), wanted.what).toBe(true)
      expect(headOf('workflows/demo'), wanted.what).toBe(wanted.commit())
      expect(workflows.active).toMatchObject({ branch: wanted.name(), head: headFor(wanted) })
      expect(await change(workflows, wanted.name())).toBe(false)
    }
  })

  test('stays where it is for what the repository lacks', async () => {
    const workflows = workflowsOf()
    await change(workflows, 'v1')
    for (const what of ['a typo', 'a commit of another repository'] as const) {
      await expect(change(workflows, MISSING[what]()), what).rejects.toMatchObject({ code: 'not_found' })
    }
    expect(workflows.active).toMatchObject({ branch: 'v1', head: { commit: ids.first } })
    expect(headOf('workflows/demo')).toBe(ids.first)
    expect(readdirSync(at('workflows'))).toEqual(['demo'])
  })

  test('without a branch is at the default one of the remote', async () => {
    server.addRepository('trunk', { main: {} })
    server.git('trunk', 'branch', '-m', 'main', 'trunk')
    const workflows = workflowsOf()
    expect(await change(workflows, '', 'trunk')).toBe(true)
    expect(workflows.active?.head).toMatchObject({ branch: 'trunk', isDetached: false })
    expect(await change(workflows, '', 'trunk')).toBe(false)
  })

  test('that cannot be fetched is not what was fetched for another choice, nor another commit', async () => {
    const start = (workflows: Workflows, branch: string, gitUrl = 'http://127.0.0.1:9/demo.git') =>
      workflows.start({ gitUrl, branch, path: '' }, { tokens: NO_TOKENS, signal: NO_SIGNAL })
    const used = workflowsOf()
    await start(used, 'feature', urlOf('demo'))
    await expect(start(used, 'feature')).rejects.toMatchObject({ code: 'git_failed' })
    expect(used.active).toMatchObject({ gitUrl: urlOf('demo') })
    // What somebody else put there.
    git(at('workflows/demo'), 'remote', 'set-url', 'origin', 'http://127.0.0.1:9/demo')
    await expect(start(workflowsOf(), ids.first)).rejects.toMatchObject({ code: 'git_failed' })
    await expect(start(workflowsOf(), 'main')).rejects.toMatchObject({ code: 'git_failed' })
    for (const name of [ids.feature, 'feature']) {
      const offline = workflowsOf()
      expect(await start(offline, name), name).toEqual([expect.stringContaining('could not be fetched')])
      expect(offline.active?.head?.commit).toBe(ids.feature)
    }
  })
})

describe('REPOS_JSON', () => {
  async function setUp(...wanted: { url: string; branch?: string; name?: string }[]) {
    const told: string[] = []
    const setup = new WorkspaceSetup({
      repositories,
      workflows: workflowsOf(),
      wanted: {
        repositories: wanted.map(({ url, branch, name }) => ({ url, branch, name })),
        workflow: undefined,
        tokens: NO_TOKENS,
      },
      timeoutMs: 20_000,
      retriesMax: 0,
      retryDelayMs: 0,
      onDone: () => {},
      onProblem: ({ what, message }) => told.push(`${what}: ${message}`),
    })
    await setup.start()
    await setup.close()
    return told
  }

  test('pins a commit, and says so when what is there is another one', async () => {
    const url = urlOf('demo')
    expect(await setUp({ url, branch: ids.first })).toEqual([])
    expect(headOf('repos/demo')).toBe(ids.first)
    expect(await setUp({ url, branch: ids.first })).toEqual([])
    expect(await setUp({ url, branch: 'v1' })).toEqual([])
    expect(await setUp({ url, branch: 'feature' })).toEqual([])
    for (const branch of [ids.main, 'featrue', 'refs/tags/both2']) {
      expect(await setUp({ url, branch })).toEqual([expect.stringContaining(`not at "${branch}"`)])
    }
    expect(headOf('repos/demo')).toBe(ids.first)
  })

  test.each(['ref', 'tag', 'commit', 'sha', 'rev', 'revision'])(
    'is refused with "%s" for the branch',
    (word) => {
      const start = (entry: unknown) =>
        loadConfig({ REPOS_JSON: JSON.stringify([entry]) }, { appDirectory: '/', workingDirectory: '/' })
      const url = 'https://git.example/app.git'
      expect(() => start({ url, [word]: 'v1' })).toThrow(`entry 1 ${word} is not read; say as "branch"`)
      expect(() => start({ input: { url, [word]: 'v1' } })).toThrow(word)
      expect(start({ url, branch: 'v1', output: {} }).repositories).toMatchObject([{ branch: 'v1' }])
    },
  )

  test('with a typo brings nothing and says so', async () => {
    expect(await setUp({ url: urlOf('demo'), branch: 'featrue' })).toEqual([
      expect.stringMatching(/^repository 1: .*no branch or tag "featrue"/),
    ])
    expect(readdirSync(at('repos'))).toEqual([])
  })

  test('gives one folder to one entry', async () => {
    const told = await setUp(
      { url: urlOf('demo') },
      { url: urlOf('other/demo') },
      { url: urlOf('demo'), branch: 'feature' },
      { url: urlOf('demo') },
      { url: urlOf('other/demo'), name: 'theirs' },
    )
    expect(told).toEqual([
      expect.stringMatching(/^repository 2: Repository 1 has the folder "demo"/),
      expect.stringMatching(/^repository 3: Repository 1 has the folder "demo"/),
    ])
    expect(readFileSync(at('repos/demo/version'), 'utf8')).toBe('first')
    expect(readFileSync(at('repos/theirs/version'), 'utf8')).toBe('other')
  })
})

describe('a repository of another origin', () => {
  test.each([true, false])('is not taken for this one (kept: %s)', async (keep) => {
    await repositories.add(request())
    const other = request(undefined, { url: urlOf('other/demo'), keep })
    await expect(repositories.add(other)).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining(urlOf('demo')),
    })
    expect(readFileSync(at('repos/demo/version'), 'utf8')).toBe('first')
    await repositories.add({ ...other, name: 'other' })
    expect(readFileSync(at('repos/other/version'), 'utf8')).toBe('other')
  })

  test('that is cloned at the same time is refused, whichever it is', async () => {
    const both = [request(), request(undefined, { url: urlOf('other/demo') })]
    const settled = await Promise.allSettled(both.map((one) => repositories.add(one)))
    expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('is known by its URL in another form, and not where there is none', async () => {
    await repositories.add(request())
    const url = new URL(urlOf('demo'))
    git(at('repos/demo'), 'remote', 'set-url', 'origin', `ssh://git@${url.host}/demo`)
    expect((await repositories.add(request())).newlyCloned).toBe(false)
    git(at('repos/demo'), 'remote', 'remove', 'origin')
    await expect(repositories.add(request())).rejects.toMatchObject({ code: 'invalid_input' })
  })
})

describe('a workspace that is itself a repository', () => {
  test('tells its own state, branches and remote', async () => {
    git(place.workspace, 'init', '--quiet', '--initial-branch=mine')
    writeFileSync(at('new'), '')
    expect(await repositories.status('', NO_SIGNAL)).toMatchObject({
      initialized: true,
      branch: 'mine',
      hasRemote: false,
      untracked: ['new'],
    })
    expect(await repositories.configureRemote('', request('feature'))).toEqual({
      url: urlOf('demo'),
      problem: undefined,
    })
    expect(await repositories.branches('', NO_SIGNAL)).toEqual(['feature'])
    expect(git(place.workspace, 'remote', 'get-url', 'origin').trim()).toBe(urlOf('demo'))
    // Clones go into it as before.
    await repositories.add(request())
    expect(headOf('repos/demo')).toBe(ids.main)
  })

  test('is made one, whole', async () => {
    expect(await repositories.configureRemote('', request('feature'))).toMatchObject({ problem: undefined })
    expect(readdirSync(place.workspace)).toEqual(['.git'])
    expect(await repositories.status('', NO_SIGNAL)).toMatchObject({
      initialized: true,
      remoteUrl: urlOf('demo'),
    })
  })

  test('by a worktree is one like any other', async () => {
    await repositories.add(request())
    writeFileSync(at('.git'), 'gitdir: repos/demo/.git/worktrees/root\n')
    mkdirSync(at('repos/demo/.git/worktrees/root'), { recursive: true })
    writeFileSync(at('repos/demo/.git/worktrees/root/commondir'), '../..\n')
    writeFileSync(at('repos/demo/.git/worktrees/root/HEAD'), `${ids.first}\n`)
    expect(await repositories.status('', NO_SIGNAL)).toMatchObject({ detached: true, commit: ids.first })
  })
})

describe('configuring a remote', () => {
  test('that fails halfway leaves the folder as it was', async () => {
    mkdirSync(at('plain'))
    // A git that makes repositories and sets nothing in them.
    const shim = `#!/bin/sh\nexport PATH='${process.env['PATH']}'\ncase "$*" in *--replace-all*) exit 1;; esac\nexec git "$@"\n`
    writeFileSync(join(place.outside, 'git'), shim, { mode: 0o755 })
    const broken = open(place.outside)
    await expect(broken.configureRemote('plain', request())).rejects.toMatchObject({ code: 'git_failed' })
    expect(readdirSync(at('plain'))).toEqual([])
    await expect(broken.configureRemote('', request())).rejects.toMatchObject({ code: 'git_failed' })
    expect(readdirSync(place.workspace)).toEqual(['plain'])
    // What is there and is no repository that git knows stays as it is, too.
    mkdirSync(at('taken/.git'), { recursive: true })
    writeFileSync(at('taken/.git/config'), 'no settings\n')
    await expect(repositories.configureRemote('taken', request())).rejects.toMatchObject({
      code: 'git_failed',
    })
    expect(readdirSync(at('taken'))).toEqual(['.git'])
    expect(readFileSync(at('taken/.git/config'), 'utf8')).toBe('no settings\n')
  })

  test.each([
    ['a typo', () => 'featrue', 'no branch or tag'],
    ['a tag', () => 'v1', 'no branch'],
    ['a commit', () => ids.first, 'no branch'],
  ])('says why it fetched nothing for %s', async (_what, name, reason) => {
    mkdirSync(at('plain'))
    const { problem } = await repositories.configureRemote('plain', request(name()))
    expect(problem).toContain(reason)
    expect(problem).toContain(name())
    expect(await repositories.branches('plain', NO_SIGNAL)).toEqual([])
  })
})

test('submodules are left empty, and that is said until they are filled', async () => {
  server.addRepository('outer', {
    main: { '.gitmodules': `[submodule "x"]\n\tpath = lib/inner\n\turl = ${urlOf('demo')}\n` },
  })
  const outer = request(undefined, { url: urlOf('outer') })
  const said = expect.stringMatching(/^Submodules are not fetched.*lib\/inner/)
  expect((await repositories.add(outer)).problems).toEqual([said])
  expect((await repositories.add({ ...outer, keep: true })).problems).toEqual([said])
  const workflows = workflowsOf()
  const choice = { gitUrl: urlOf('outer'), branch: '', path: '' }
  await workflows.change(choice, { tokens: NO_TOKENS, signal: NO_SIGNAL })
  expect(workflows.active?.problems).toEqual([said])
  mkdirSync(at('repos/outer/lib/inner'), { recursive: true })
  writeFileSync(at('repos/outer/lib/inner/file'), '')
  expect((await repositories.add(outer)).problems).toEqual([])
})

test('a repository with SHA-256 is cloned, pinned and fetched; one of both kinds gives the reason', async () => {
  server.addRepository('wide', { main: { a: '1' }, feature: { b: '1' } }, { objectFormat: 'sha256' })
  const first = server.git('wide', 'rev-parse', 'main')
  const hidden = server.git('wide', 'commit-tree', '-m', 'on no branch', `${first}^{tree}`)
  expect(hidden).toHaveLength(64)
  const wide = (branch?: string) => request(branch, { url: urlOf('wide') })
  expect((await repositories.add(wide('feature'))).head.branch).toBe('feature')
  expect((await repositories.add(wide(hidden))).head.commit).toBe(hidden)
  mkdirSync(at('plain'))
  expect(await repositories.configureRemote('plain', wide('feature'))).toMatchObject({ problem: undefined })
  expect(await repositories.branches('plain', NO_SIGNAL)).toEqual(['feature'])
  const workflows = workflowsOf()
  const choice = { gitUrl: urlOf('wide'), branch: hidden, path: '' }
  await workflows.change(choice, { tokens: NO_TOKENS, signal: NO_SIGNAL })
  expect(headOf('workflows/wide')).toBe(hidden)
  await repositories.add(request())
  const mixed = await repositories.configureRemote('repos/demo', wide('feature'))
  expect(mixed.problem).toMatch(/sha1.*sha256|sha256.*sha1/)
})

test('names that are not UTF-8 are told in the state as in the listing', async () => {
  await repositories.add(request())
  const folder = Buffer.concat([Buffer.from(at('repos/demo/')), Buffer.from('caf\xe9', 'latin1')])
  writeFileSync(folder, 'x')
  const { untracked } = await repositories.status('repos/demo', NO_SIGNAL)
  expect(untracked).toEqual(['caf\\xE9'])
  expect(await place.files.readText(`repos/demo/${untracked[0]}`, { bytesMax: 10 })).toBe('x')
  const named = Buffer.concat([Buffer.from(`${place.workspace}/`), Buffer.from('d\xe9', 'latin1')])
  mkdirSync(named)
  expect(await repositories.configureRemote('d\\xE9', request('feature'))).toMatchObject({
    problem: undefined,
  })
  expect(await repositories.branches('d\\xE9', NO_SIGNAL)).toEqual(['feature'])
  expect(existsSync(at('d\\xE9'))).toBe(false)
})
