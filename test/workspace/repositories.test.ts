import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Git } from '../../src/workspace/git.ts'
import { Repositories } from '../../src/workspace/repositories.ts'
import { removeTree } from '../../src/workspace/tree.ts'
import { Workflows } from '../../src/workspace/workflows.ts'
import { type GitServer, type GitServerOptions, git, startGitServer } from '../support/git-server.ts'
import { NO_SIGNAL, openPlace, type Place } from './place.ts'

const TOKEN = 'ghp_0123456789SecretOfTheTest'
const NO_TOKENS = { github: undefined, gitlab: undefined }

let place: Place
let server: GitServer

beforeEach(async () => {
  place = await openPlace()
})
afterEach(async () => {
  await server?.close()
  place.close()
})

const at = (path: string): string => join(place.workspace, path)

async function open(options: GitServerOptions = {}): Promise<Repositories> {
  server = await startGitServer(options)
  server.addRepository('demo', {
    main: { 'README.md': 'hello\n', 'sub/folder/x': '1' },
    feature: { 'feature.txt': 'yes\n' },
  })
  const protocols = ['https', 'http'] as const
  const client = new Git({ env: { PATH: process.env['PATH'] }, protocols, timeoutMs: 20_000 })
  return new Repositories({
    git: client,
    files: place.files,
    tokenHosts: { github: [server.host], gitlab: [] },
  })
}

const request = (branch?: string, tokens: { github?: string } = {}) => ({
  url: `${server.url}/demo.git`,
  branch,
  name: undefined,
  tokens: { ...NO_TOKENS, ...tokens },
  signal: NO_SIGNAL,
})

/** Every file below, as text. */
function everything(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n')
}

test('a repository is cloned once, and told of as new only then', async () => {
  const repositories = await open()
  expect(await repositories.add(request('main'))).toEqual({
    name: 'demo',
    path: at('repos/demo'),
    newlyCloned: true,
    head: { branch: 'main', commit: server.git('demo', 'rev-parse', 'main'), isDetached: false },
    problems: [],
  })
  expect(readFileSync(at('repos/demo/README.md'), 'utf8')).toBe('hello\n')
  expect(await repositories.add(request('main'))).toMatchObject({ newlyCloned: false })
  expect(readdirSync(at('repos'))).toEqual(['demo'])
  expect(await repositories.list(NO_SIGNAL)).toEqual([
    {
      name: 'demo',
      url: `${server.url}/demo.git`,
      branches: ['main'],
      currentActiveBranch: 'main',
      defaultBranch: 'main',
    },
  ])
})

test('what is there and is no repository is left as it is', async () => {
  const repositories = await open()
  mkdirSync(at('repos/demo'), { recursive: true })
  writeFileSync(at('repos/demo/mine'), '')
  await expect(repositories.add(request())).rejects.toMatchObject({ code: 'invalid_input' })
  writeFileSync(at('repos/file'), 'mine')
  await expect(repositories.add({ ...request(), name: 'file' })).rejects.toMatchObject({
    code: 'invalid_input',
  })
  expect(readdirSync(at('repos'))).toEqual(['demo', 'file'])
  expect(readdirSync(at('repos/demo'))).toEqual(['mine'])
})

test('two clones of one name at once make one repository', async () => {
  const repositories = await open()
  const added = await Promise.all([repositories.add(request()), repositories.add(request())])
  expect(added.filter(({ newlyCloned }) => newlyCloned)).toHaveLength(1)
  expect(readdirSync(at('repos'))).toEqual(['demo'])
})

test('one that is there is brought to the branch, fetched or made here', async () => {
  const repositories = await open()
  await repositories.add(request())
  await repositories.add(request('feature'))
  expect(readFileSync(at('repos/demo/feature.txt'), 'utf8')).toBe('yes\n')
  await repositories.add(request('main'))
  expect(existsSync(at('repos/demo/feature.txt'))).toBe(false)
  git(at('repos/demo'), 'branch', 'ambient/new')
  await repositories.add(request('ambient/new'))
  const [described] = await repositories.list(NO_SIGNAL)
  expect(described).toMatchObject({
    currentActiveBranch: 'ambient/new',
    branches: ['ambient/new', 'feature', 'main'],
  })
})

test('a token arrives, and is in no file, no argument and no environment', async () => {
  const repositories = await open({ password: TOKEN, watched: true })
  await repositories.add(request('main', { github: TOKEN }))
  await repositories.add(request('feature', { github: TOKEN }))
  const path = 'repos/demo'
  const set = await repositories.configureRemote(path, { ...request('main', { github: TOKEN }) })
  expect(set.problem).toBeUndefined()
  expect(server.authorizations).toContain(`x-access-token:${TOKEN}`)
  expect(everything(place.directory)).not.toContain(TOKEN)
  // The watch saw git's own transport at work, so it would have seen the token.
  expect(
    server.sightings.some((text) => text.includes('git-remote-http') || text.includes('remote-http')),
  ).toBe(true)
  expect(server.sightings.filter((text) => text.includes(TOKEN))).toEqual([])
})

test('a token given in the URL arrives and is kept nowhere', async () => {
  const repositories = await open({ password: TOKEN, watched: true })
  const url = `${server.url.replace('://', `://user:${TOKEN}@`)}/demo.git`
  await repositories.add({ ...request(), url })
  await repositories.configureRemote('repos/demo', { ...request('main'), url })
  expect(server.authorizations).toContain(`user:${TOKEN}`)
  expect(everything(place.directory)).not.toContain(TOKEN)
  expect(server.sightings.filter((text) => text.includes(TOKEN))).toEqual([])
})

test('a refused token fails without being told or asked for', async () => {
  const repositories = await open({ password: 'another' })
  await expect(repositories.add(request('main', { github: TOKEN }))).rejects.toMatchObject({
    code: 'git_failed',
    message: expect.not.stringContaining(TOKEN),
  })
  expect(readdirSync(at('repos'))).toEqual([])
})

test("a repository's own settings run nothing and get no token", async () => {
  const repositories = await open({ password: TOKEN })
  await repositories.add(request('main', { github: TOKEN }))
  const touch = (name: string): string => `touch ${join(place.outside, name)}`
  const steal = `!f() { cat > ${join(place.outside, 'stolen')}; }; f`
  const settings = [
    ['core.fsmonitor', touch('fsmonitor')],
    ['core.hooksPath', at('hooks')],
    ['core.sshCommand', touch('ssh')],
    ['core.askPass', touch('askpass')],
    ['core.alternateRefsCommand', touch('alternates')],
    ['diff.external', touch('diff')],
    ['diff.trap.textconv', touch('textconv')],
    ['filter.trap.clean', touch('clean')],
    ['filter.trap.smudge', touch('smudge')],
    ['filter.trap.process', touch('process')],
    ['filter.a=b.clean', touch('odd')],
    ['credential.helper', steal],
    ['protocol.ext.allow', 'always'],
    [`url.ext::${touch('ext')}.insteadOf`, '/'],
  ] as const
  mkdirSync(at('hooks'))
  for (const hook of ['post-checkout', 'reference-transaction', 'pre-commit']) {
    writeFileSync(at(`hooks/${hook}`), `#!/bin/sh\n${touch(hook)}\n`, { mode: 0o755 })
  }
  for (const [key, value] of settings) git(at('repos/demo'), 'config', key, value)
  writeFileSync(at('repos/demo/.gitattributes'), '*.md filter=trap diff=trap\n*.txt filter=a=b\n')
  writeFileSync(at('repos/demo/README.md'), 'changed\n')
  await repositories.status('repos/demo', NO_SIGNAL)
  await repositories.list(NO_SIGNAL)
  await repositories.branches('repos/demo', NO_SIGNAL)
  await repositories.configureRemote('repos/demo', request('main', { github: TOKEN }))
  writeFileSync(at('repos/demo/README.md'), 'hello\n')
  // A trap in the URLs may make it fail; what counts is that nothing ran.
  await repositories.add(request('feature', { github: TOKEN })).catch(() => undefined)
  expect(readdirSync(place.outside)).toEqual([])
  // The traps are real: a git that heeds them walks in.
  expect(() => git(at('repos/demo'), 'status')).toThrow()
  expect(readdirSync(place.outside)).toContain('fsmonitor')
})

test('a repository whose parts lie elsewhere is refused', async () => {
  const repositories = await open()
  await repositories.add(request())
  mkdirSync(join(place.outside, 'git'))
  const refused = { code: 'path_outside_workspace' }
  const ways: Record<string, () => void> = {
    gitdir: () => writeFileSync(at('trap/.git'), `gitdir: ${place.outside}/git\n`),
    climbing: () => writeFileSync(at('trap/.git'), 'gitdir: ../../outside/git\n'),
    link: () => symlinkSync(join(place.outside, 'git'), at('trap/.git')),
    // To git the parent of a link is the parent of what it leads to.
    'a link in a pointer': () => {
      mkdirSync(join(place.outside, 'git/refs'))
      mkdirSync(at('trap/.git'))
      symlinkSync(join(place.outside, 'git/refs'), at('trap/.git/refs'))
      writeFileSync(at('trap/.git/commondir'), 'refs/..\n')
    },
  }
  for (const [name, lay] of Object.entries(ways)) {
    mkdirSync(at('trap'))
    lay()
    await expect(repositories.status('trap', NO_SIGNAL), name).rejects.toMatchObject(refused)
    await expect(repositories.configureRemote('trap', request('main')), name).rejects.toMatchObject(refused)
    await removeFolder('trap')
  }
  git(place.workspace, 'init', '--quiet', 'trap')
  await place.files.remove('trap/.git/config')
  writeFileSync(join(place.outside, 'bashrc'), 'mine\n')
  symlinkSync(join(place.outside, 'bashrc'), at('trap/.git/config'))
  await expect(repositories.configureRemote('trap', request('main'))).rejects.toMatchObject(refused)
  expect(readFileSync(join(place.outside, 'bashrc'), 'utf8')).toBe('mine\n')
})

async function removeFolder(name: string): Promise<void> {
  const root = await place.guard.openFolder(await place.guard.resolve(''))
  await root.use(() => removeTree(root, name, { signal: NO_SIGNAL }))
}

test('a worktree in the workspace is a repository like any other', async () => {
  const repositories = await open()
  await repositories.add(request())
  git(at('repos/demo'), 'worktree', 'add', '--quiet', at('trees/one'))
  expect(await repositories.status('trees/one', NO_SIGNAL)).toMatchObject({
    initialized: true,
    branch: 'one',
  })
})

test('status counts what changed and names it', async () => {
  const repositories = await open()
  expect(await repositories.status('', NO_SIGNAL)).toMatchObject({ initialized: false, hasChanges: false })
  await repositories.add(request())
  expect(await repositories.status('repos/demo', NO_SIGNAL)).toEqual({
    initialized: true,
    hasChanges: false,
    branch: 'main',
    remoteUrl: `${server.url}/demo.git`,
    hasRemote: true,
    filesAdded: 0,
    filesRemoved: 0,
    uncommittedFiles: 0,
    totalAdded: 0,
    totalRemoved: 0,
    modified: [],
    staged: [],
    untracked: [],
  })
  writeFileSync(at('repos/demo/README.md'), 'one\ntwo\n')
  writeFileSync(at('repos/demo/new file'), '')
  git(at('repos/demo'), 'rm', '--quiet', 'sub/folder/x')
  expect(await repositories.status('repos/demo', NO_SIGNAL)).toMatchObject({
    hasChanges: true,
    filesAdded: 1,
    filesRemoved: 2,
    totalAdded: 2,
    totalRemoved: 2,
    modified: ['README.md'],
    staged: ['sub/folder/x'],
    untracked: ['new file'],
  })
})

test('configuring a remote makes a repository where there is none and fetches its branch', async () => {
  const repositories = await open()
  mkdirSync(at('plain'))
  expect(await repositories.configureRemote('plain', request('feature'))).toEqual({
    url: `${server.url}/demo.git`,
    problem: undefined,
  })
  expect(await repositories.branches('plain', NO_SIGNAL)).toEqual(['feature'])
  expect(git(at('plain'), 'remote', 'get-url', 'origin').trim()).toBe(`${server.url}/demo.git`)
  const unreachable = { ...request('main'), url: 'http://127.0.0.1:9/none.git' }
  expect(await repositories.configureRemote('plain', unreachable)).toMatchObject({
    url: 'http://127.0.0.1:9/none.git',
    problem: expect.stringContaining('git'),
  })
  await expect(repositories.configureRemote('none', request('main'))).rejects.toMatchObject({
    code: 'invalid_input',
  })
})

test('options in a branch are refused before git sees them', async () => {
  const repositories = await open()
  for (const branch of ['--upload-pack=touch x', '-b', 'a..b', 'x:y']) {
    await expect(repositories.add(request(branch))).rejects.toMatchObject({ code: 'invalid_input' })
  }
  expect(server.authorizations).toEqual([])
})

test('removing takes the folder of that name only, and is done when there is none', async () => {
  const repositories = await open()
  await repositories.add(request())
  mkdirSync(join(place.outside, 'victim'))
  for (const name of ['../../outside', '../../outside/victim', '..', '.', '/etc', '../repos/demo']) {
    await expect(repositories.remove(name, NO_SIGNAL)).rejects.toMatchObject({
      code: 'path_outside_workspace',
    })
  }
  symlinkSync(join(place.outside, 'victim'), at('repos/linked'))
  writeFileSync(join(place.outside, 'victim/file'), '')
  await repositories.remove('linked', NO_SIGNAL)
  await repositories.remove('demo', NO_SIGNAL)
  await repositories.remove('demo', NO_SIGNAL)
  expect(readdirSync(at('repos'))).toEqual([])
  expect(readdirSync(join(place.outside, 'victim'))).toEqual(['file'])
})

test('a client that leaves ends the clone, and nothing of it stays', async () => {
  const repositories = await open()
  const left = new AbortController()
  const adding = repositories.add({ ...request(), signal: left.signal })
  setImmediate(() => left.abort(new Error('left')))
  await expect(adding).rejects.toThrow('left')
  expect(existsSync(at('repos')) ? readdirSync(at('repos')) : []).toEqual([])
})

test('a workflow is its repository, or a folder of it, and changes whole or not at all', async () => {
  const repositories = await open()
  server.addRepository('flow', { main: { 'a/.claude/commands/go.md': 'go', 'b/x': '1' } })
  const workflows = new Workflows({ repositories, files: place.files, protocols: ['http'] })
  const choose = (path: string, branch = 'main') =>
    workflows.change(
      { gitUrl: `${server.url}/flow.git`, branch, path },
      { tokens: NO_TOKENS, signal: NO_SIGNAL },
    )
  expect(await choose('')).toBe(true)
  expect(readdirSync(at('workflows/flow')).sort()).toEqual(['.git', 'a', 'b'])
  expect(await choose('')).toBe(false)
  expect(await choose('a')).toBe(true)
  expect(readdirSync(at('workflows/flow'))).toEqual(['.claude'])
  for (const path of ['none', '../flow', 'a/../../..', '/etc']) await expect(choose(path)).rejects.toThrow()
  expect(readdirSync(at('workflows'))).toEqual(['flow'])
  expect(readdirSync(at('workflows/flow'))).toEqual(['.claude'])
  expect(workflows.active).toMatchObject({ path: 'a', name: 'flow' })
})

test("a workflow's link to another folder of the workspace does not take it", async () => {
  const repositories = await open()
  const work = at('work')
  git(place.workspace, 'init', '--quiet', '--initial-branch=main', 'work')
  symlinkSync('../../repos', join(work, 'steal'))
  git(work, 'add', '--all')
  git(work, 'commit', '--quiet', '--message', 'link')
  mkdirSync(at('repos/mine'), { recursive: true })
  const url = `file://${work}`
  const client = new Git({ env: { PATH: process.env['PATH'] }, protocols: ['file'], timeoutMs: 20_000 })
  const local = new Repositories({ git: client, files: place.files, tokenHosts: { github: [], gitlab: [] } })
  const workflows = new Workflows({ repositories: local, files: place.files, protocols: ['file'] })
  const choice = { gitUrl: url, branch: 'main', path: 'steal' }
  await expect(workflows.change(choice, { tokens: NO_TOKENS, signal: NO_SIGNAL })).rejects.toMatchObject({
    code: 'path_outside_workspace',
  })
  expect(readdirSync(at('repos'))).toEqual(['mine'])
  expect(await repositories.list(NO_SIGNAL)).toEqual([])
})

test('a bare repository gets no remote, and no repository within', async () => {
  const repositories = await open()
  mkdirSync(at('bare'))
  git(at('bare'), 'init', '--quiet', '--bare')
  const before = readdirSync(at('bare'))
  await expect(repositories.configureRemote('bare', request('main'))).rejects.toMatchObject({
    code: 'invalid_input',
    message: expect.stringContaining('bare'),
  })
  expect(readdirSync(at('bare'))).toEqual(before)
})
