import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { post } from '../support/client.ts'
import { type GitServer, startGitServer } from '../support/git-server.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'

const TOKEN = 'glpat-SecretOfThePlatformTest'

let bench: Bench
let runner: OpenRunner
let server: GitServer

beforeAll(async () => {
  server = await startGitServer({ password: TOKEN, watched: true })
  server.addRepository('demo', { main: { 'README.md': 'hello\n' }, feature: { f: '1' } })
  server.addRepository('flow', { main: { 'flows/one/.claude/commands/go.md': 'go' } })
  bench = await openBench()
  runner = await bench.open({ GITLAB_HOSTS: server.host })
})
afterAll(async () => {
  await bench.close()
  await server.close()
})

const at = (path: string): string => join(bench.workspace, path)

interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the fields of whatever answer it expects
  body: any
}

async function send(path: string, body: unknown, token: string | undefined = TOKEN): Promise<Answer> {
  const headers: Record<string, string> = token === undefined ? {} : { 'X-GitLab-Token': token }
  const response = await post(`${runner.url}${path}`, body, headers)
  return { status: response.status, body: await response.json() }
}

async function get(path: string): Promise<Answer> {
  const response = await fetch(`${runner.url}${path}`)
  return { status: response.status, body: await response.json() }
}

describe('repositories', () => {
  test('are added with the token of the header, told of, and removed', async () => {
    const url = `${server.url}/demo.git`
    expect(await send('/repos/add', { url, branch: 'main' })).toEqual({
      status: 200,
      body: { message: 'Repository added', name: 'demo', path: at('repos/demo'), newly_cloned: true },
    })
    expect((await send('/repos/add', { url, branch: 'main' })).body.newly_cloned).toBe(false)
    expect(await get('/repos/status')).toEqual({
      status: 200,
      body: {
        repos: [
          { url, name: 'demo', branches: ['main'], currentActiveBranch: 'main', defaultBranch: 'main' },
        ],
      },
    })
    expect(server.authorizations).toContain(`oauth2:${TOKEN}`)
    expect(server.sightings.filter((text) => text.includes(TOKEN))).toEqual([])
    expect(readFileSync(at('repos/demo/.git/config'), 'utf8')).not.toContain(TOKEN)
    expect(await send('/repos/remove', { name: 'demo' })).toEqual({
      status: 200,
      body: { message: 'Repository removed' },
    })
    expect(existsSync(at('repos/demo'))).toBe(false)
    expect(runner.log()).not.toContain(TOKEN)
  })

  test('are at the commit that was asked for, and every route says that it is no branch', async () => {
    const url = `${server.url}/demo.git`
    const commit = server.git('demo', 'rev-parse', 'main')
    const detached = { detached: true, commit }
    const added = { message: 'Repository added', name: 'pinned', path: at('repos/pinned') }
    expect(await send('/repos/add', { url, branch: commit, name: 'pinned' })).toEqual({
      status: 200,
      body: { ...added, newly_cloned: true, ...detached },
    })
    expect((await get('/repos/status')).body.repos).toEqual([
      {
        url,
        name: 'pinned',
        branches: ['main'],
        currentActiveBranch: 'HEAD',
        defaultBranch: 'main',
        ...detached,
      },
    ])
    expect((await get('/git/status?path=repos/pinned')).body).toMatchObject({ branch: 'HEAD', ...detached })
    expect(await send('/repos/add', { url, branch: 'mian', name: 'pinned' })).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found', message: expect.stringContaining('"mian"') } },
    })
    expect((await get('/git/status?path=repos/pinned')).body).toMatchObject(detached)
    await send('/repos/remove', { name: 'pinned' })
  })

  test('are not removed from elsewhere by a name that is a path', async () => {
    const victim = join(bench.directory, 'victim')
    mkdirSync(victim)
    writeFileSync(join(victim, 'file'), '')
    for (const name of ['../../victim', '..', '/etc', 'a/../../../victim']) {
      expect(await send('/repos/remove', { name }), name).toMatchObject({
        status: 400,
        body: { error: { code: 'path_outside_workspace' } },
      })
    }
    expect(readdirSync(victim)).toEqual(['file'])
  })

  test.each([
    ['an option as URL', { url: '--upload-pack=touch pwned' }],
    ['a program as URL', { url: 'ext::sh -c id' }],
    ['a file as URL', { url: 'file:///etc' }],
    ['an option as branch', { url: 'http://127.0.0.1/x.git', branch: '--upload-pack=id' }],
    ['a commit by another word', { url: 'http://127.0.0.1/x.git', commit: 'f'.repeat(40) }],
    ['an option as name', { url: 'http://127.0.0.1/x.git', name: '-x' }],
    ['no URL', {}],
    ['no object', '[]'],
  ])('are not added with %s', async (_what, body) => {
    expect(await send('/repos/add', body)).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid_input' } },
    })
  })

  test('are not added into another folder by their name', async () => {
    expect(await send('/repos/add', { url: `${server.url}/demo.git`, name: '../../x' })).toMatchObject({
      status: 400,
      body: { error: { code: 'path_outside_workspace' } },
    })
  })

  test('that cannot be cloned say why, without the token', async () => {
    const refused = await send('/repos/add', { url: `${server.url}/demo.git` }, 'wrong-token')
    expect(refused).toMatchObject({ status: 502, body: { error: { code: 'git_failed' } } })
    expect(JSON.stringify(refused)).not.toContain('wrong-token')
    expect(readdirSync(at('repos'))).toEqual([])
  })
})

describe.each([
  {
    status: '/content/git-status',
    remote: '/content/git-configure-remote',
    branches: '/content/git-list-branches',
  },
  { status: '/git/status', remote: '/git/configure-remote', branches: '/git/branches' },
])('$status and its like', (paths) => {
  test('configure a remote, list its branches and tell the state', async () => {
    const folder = `plain${paths.status.replaceAll('/', '-')}`
    expect((await get(`${paths.status}?path=${folder}`)).body).toMatchObject({
      initialized: false,
      hasChanges: false,
    })
    mkdirSync(at(folder))
    const remoteUrl = `${server.url}/demo.git`
    expect(await send(paths.remote, { path: folder, remoteUrl, branch: 'feature' })).toEqual({
      status: 200,
      body: { message: 'remote configured', remote: remoteUrl, branch: 'feature', fetched: true },
    })
    expect((await get(`${paths.branches}?path=${folder}`)).body).toEqual({ branches: ['feature'] })
    writeFileSync(at(`${folder}/new`), 'x')
    expect((await get(`${paths.status}?path=${folder}`)).body).toMatchObject({
      initialized: true,
      hasChanges: true,
      branch: 'main',
      remoteUrl,
      hasRemote: true,
      uncommittedFiles: 1,
      untracked: ['new'],
    })
    expect(readFileSync(at(`${folder}/.git/config`), 'utf8')).not.toContain(TOKEN)
  })
})

test('a workflow is switched, kept when it is the same, and stays when the next one fails', async () => {
  const choice = { gitUrl: `${server.url}/flow.git`, branch: 'main', path: 'flows/one' }
  expect(await send('/workflow', choice)).toEqual({
    status: 200,
    body: { message: 'Workflow updated', ...choice },
  })
  expect((await send('/workflow', choice)).body.message).toBe('Workflow already active')
  expect(readdirSync(at('workflows/flow'))).toEqual(['.claude'])
  const { body } = await get('/content/workflow-metadata?session=x')
  expect(body.commands).toMatchObject([{ id: 'go' }])
  expect(await send('/workflow', { ...choice, branch: 'mian' })).toMatchObject({ status: 404 })
  const commit = server.git('flow', 'rev-parse', 'main')
  expect((await send('/workflow', { ...choice, branch: commit })).body).toEqual({
    message: 'Workflow updated',
    ...choice,
    branch: commit,
    detached: true,
    commit,
  })
  expect(await send('/workflow', { ...choice, path: '../../..' })).toMatchObject({
    status: 400,
    body: { error: { code: 'path_outside_workspace' } },
  })
  expect(await send('/workflow', { ...choice, gitUrl: 'ext::id' })).toMatchObject({ status: 400 })
  expect(readdirSync(at('workflows'))).toEqual(['flow'])
  expect(await send('/workflow', {})).toMatchObject({
    status: 200,
    body: { message: 'Workflow updated', gitUrl: '', branch: 'main', path: '' },
  })
  expect((await get('/content/workflow-metadata?session=x')).body.commands).toEqual([])
})

test('a workspace that is itself a repository tells its own state', async () => {
  const remoteUrl = `${server.url}/demo.git`
  const body = { path: '', remoteUrl, branch: 'mian' }
  expect(await send('/git/configure-remote', body)).toEqual({
    status: 200,
    body: {
      message: 'remote configured',
      remote: remoteUrl,
      branch: 'mian',
      fetched: false,
      problem: expect.stringContaining('"mian"'),
    },
  })
  expect((await send('/git/configure-remote', { ...body, branch: 'feature' })).body.fetched).toBe(true)
  for (const path of ['/git/status', '/content/git-status', '/git/status?path=/']) {
    expect((await get(path)).body).toMatchObject({ initialized: true, remoteUrl })
  }
  expect((await get('/git/branches')).body).toEqual({ branches: ['feature'] })
})
