// A runner that is root changes nobody's files, and what is made inside belongs to whom the workspace belongs to.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config.ts'
import { WorkspaceFiles } from '../../src/workspace/files.ts'
import { WorkspaceGuard } from '../../src/workspace/guard.ts'
import { missingNeed } from '../sandbox/needs.ts'
import { confine } from '../support/confined.ts'

const reason = process.getuid?.() === 0 ? missingNeed() : 'only for root'
const ROOT = new URL('../../', import.meta.url).pathname
const PERSON = 12_345

describe.skipIf(reason !== undefined)(`a runner that is root (${reason ?? 'it is'})`, () => {
  let directory: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'agui-root-runner-'))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test.each([
    ['root', 0],
    ['an ordinary user', PERSON],
  ])(
    'the workspace of %s: all that was there is as it was, and what is new is its owner’s',
    async (_, owner) => {
      const world = join(directory, String(owner))
      const workspace = join(world, 'workspace')
      lay(workspace, owner)
      const before = factsOf(workspace)
      const said = await workInside(
        workspace,
        world,
        'id -u; cat secret; echo more >> kept.txt; echo new > new.txt; mkdir folder; echo x > folder/x; chmod 600 new.txt; git status --short; git add new.txt; git -c user.name=a -c user.email=a@a commit -qm two && echo committed; cat of-others/private || echo refused',
      )
      expect(said).not.toMatch(/^0$/m)
      expect(said).toContain('of the owner alone')
      expect(said).toContain('M kept.txt')
      expect(said).toContain('committed')
      expect(said).toContain('refused')
      const after = factsOf(workspace)
      for (const [path, facts] of before) expect([path, after.get(path)]).toEqual([path, facts])
      const made = [...after].filter(([path]) => !before.has(path))
      expect(made.map(([path]) => path)).toContain('new.txt')
      for (const [path, { uid, gid }] of made) expect([path, uid, gid]).toEqual([path, owner, owner])
      // The owner's own git, without a word about dubious ownership.
      const later = execFileSync('git', ['log', '--format=%s'], {
        cwd: workspace,
        encoding: 'utf8',
        env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent' },
        ...(owner === 0 ? {} : { uid: owner, gid: owner }),
      })
      expect(later).toBe('two\none\n')
    },
  )

  test('what clients write is the owner’s too, and what they replace stays whose it was', async () => {
    const workspace = join(directory, 'files')
    lay(workspace, PERSON)
    const files = new WorkspaceFiles(await WorkspaceGuard.open(workspace))
    const options = { bytesMax: 100, signal: new AbortController().signal }
    for (const path of ['made/below/file', 'secret', 'of-others/private'])
      await files.write(path, [Buffer.from('x')], options)
    const facts = factsOf(workspace)
    for (const path of ['made', 'made/below', 'made/below/file'])
      expect([path, facts.get(path)]).toMatchObject([path, { uid: PERSON, gid: PERSON }])
    expect(facts.get('secret')).toEqual({ uid: PERSON, gid: PERSON, mode: 0o100600 })
    expect(facts.get('of-others/private')).toEqual({ uid: 54_321, gid: 54_321, mode: 0o100600 })
  })

  test('root is nobody inside: what only root may read outside the workspace stays so', async () => {
    const world = join(directory, 'shadow')
    lay(join(world, 'workspace'), 0)
    const said = await workInside(join(world, 'workspace'), world, 'cat /etc/shadow || echo refused')
    expect(said).toContain('refused')
    expect(said).not.toContain('root:')
  })
})

describe('folders that are no workspace', () => {
  const place = (env: Record<string, string>): string =>
    loadConfig(env, { appDirectory: ROOT, workingDirectory: '/nowhere' }).workspace
  const system = [
    '/',
    '/root',
    '/home',
    '/etc',
    '/etc/x',
    '/usr/local',
    '/var',
    '/tmp',
    '/dev',
    '/sys/x',
    '/opt/..',
    '//etc/',
  ]

  test.each(system)('%s', (path) => {
    expect(() => place({ WORKSPACE_PATH: path, HOME: '/home/me' })).toThrow('WORKSPACE_PATH')
  })

  test('a home, what holds one, and a link to either', () => {
    const directory = mkdtempSync(join(tmpdir(), 'agui-no-workspace-'))
    try {
      symlinkSync('/etc', join(directory, 'link'))
      mkdirSync(join(directory, 'users/me'), { recursive: true })
      const HOME = join(directory, 'users/me')
      for (const name of ['link', 'link/below', 'users', 'users/me'])
        expect(() => place({ WORKSPACE_PATH: join(directory, name), HOME })).toThrow('WORKSPACE_PATH')
      for (const name of ['work', 'users/me/work', 'users/you'])
        expect(place({ WORKSPACE_PATH: join(directory, name), HOME })).toBe(join(directory, name))
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

interface Facts {
  uid: number
  gid: number
  mode: number
}

function lay(workspace: string, owner: number): void {
  mkdirSync(workspace, { recursive: true })
  chmodSync(join(workspace, '..', '..'), 0o755)
  writeFileSync(join(workspace, 'secret'), 'of the owner alone', { mode: 0o600 })
  writeFileSync(join(workspace, 'kept.txt'), 'kept\n')
  linkSync(join(workspace, 'kept.txt'), join(workspace, 'kept-too.txt'))
  const git = {
    cwd: workspace,
    stdio: 'ignore',
    env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent' },
  } as const
  execFileSync('git', ['init', '-q'], git)
  execFileSync('git', ['add', '.'], git)
  execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@a', 'commit', '-qm', 'one'], git)
  execFileSync('chown', ['-hR', `${owner}:${owner}`, workspace])
  mkdirSync(join(workspace, 'of-others'), { mode: 0o755 })
  writeFileSync(join(workspace, 'of-others/private'), 'private', { mode: 0o600 })
  chownSync(join(workspace, 'of-others/private'), 54_321, 54_321)
  chownSync(join(workspace, 'of-others'), 54_321, 54_321)
}

/** Of everything but what git itself writes anew at each commit. */
function factsOf(workspace: string): Map<string, Facts> {
  const names = readdirSync(workspace, { recursive: true, encoding: 'utf8' })
  return new Map(
    ['.', ...names].map((name) => {
      const { uid, gid, mode } = lstatSync(join(workspace, name))
      return [name, { uid, gid, mode }]
    }),
  )
}

async function workInside(workspace: string, world: string, script: string): Promise<string> {
  const state = join(world, 'state')
  mkdirSync(state)
  const enforcement = await confine(workspace, state)
  try {
    const { spawn } = await enforcement.prepare()
    const child = spawn({ command: '/bin/sh', args: ['-c', script], cwd: workspace, env: {} })
    child.stdin?.end()
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (said += String(chunk)))
    await once(child, 'close')
    return said
  } finally {
    await enforcement.close()
  }
}
