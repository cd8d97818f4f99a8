// Whatever the workspace holds, the policy is enforced on it, or a run and /ready say that it is not.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingNeed } from '../sandbox/needs.ts'
import { bodyOf, run, runInput, textOf } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const reason = missingNeed()
const AUTO = { OPENSHELL_SANDBOX: '', POLICY_ENFORCEMENT: 'auto' }

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

function git(folder: string, ...words: string[]): string {
  const own = ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'protocol.file.allow=always']
  return execFileSync('git', [...own, ...words], { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
}

/** Each stands alone: what is made at a place in an otherwise empty folder of the workspace. */
const SHAPES: Record<string, (folder: string) => void> = {
  'a .git file that names nothing': (at) => put(join(at, '.git'), 'gitdir: /nowhere/at/all\n'),
  'a .git file of no sense': (at) => put(join(at, '.git'), '\0\0\n'),
  'a .git file that names the root': (at) => put(join(at, '.git'), 'gitdir: /\n'),
  'a .git file that names itself': (at) => put(join(at, '.git'), 'gitdir: .git\n'),
  'an empty .git': (at) => mkdirSync(join(at, '.git')),
  'a .git pipe': (at) => execFileSync('/usr/bin/mkfifo', [join(at, '.git')]),
  'a .git link to itself': (at) => symlinkSync('.git', join(at, '.git')),
  'a .git link that leads nowhere': (at) => symlinkSync('nowhere', join(at, '.git')),
  'a .git that nobody may look into': (at) => {
    put(join(at, '.git/HEAD'), 'x')
    chmodSync(join(at, '.git'), 0)
  },
  'a config that is a folder, hooks that are a file': (at) => {
    git(at, 'init', '-q')
    renameSync(join(at, '.git/config'), join(at, '.git/old'))
    mkdirSync(join(at, '.git/config'))
  },
  'a config that is a pipe': (at) => {
    git(at, 'init', '-q')
    renameSync(join(at, '.git/config'), join(at, '.git/old'))
    execFileSync('/usr/bin/mkfifo', [join(at, '.git/config')])
  },
  'a config that is a link to a pipe': (at) => {
    git(at, 'init', '-q')
    renameSync(join(at, '.git/config'), join(at, '.git/old'))
    execFileSync('/usr/bin/mkfifo', [join(at, 'pipe')])
    symlinkSync('../pipe', join(at, '.git/config'))
  },
  'a config that includes itself': (at) => {
    git(at, 'init', '-q')
    put(join(at, '.git/config'), '[include]\n\tpath = config\n')
  },
  'hooks that are a link': (at) => {
    git(at, 'init', '-q', '--template=')
    symlinkSync('../elsewhere', join(at, '.git/hooks'))
  },
  'a .claude file': (at) => put(join(at, '.claude'), 'x'),
  'a .claude pipe': (at) => execFileSync('/usr/bin/mkfifo', [join(at, '.claude')]),
  'a .claude link to a file': (at) => {
    put(join(at, 'file'), 'x')
    symlinkSync('file', join(at, '.claude'))
  },
  'a .claude link that leads nowhere': (at) => symlinkSync('nowhere', join(at, '.claude')),
  'settings that are a folder': (at) => mkdirSync(join(at, '.claude/settings.json'), { recursive: true }),
  'settings that are a pipe': (at) => {
    mkdirSync(join(at, '.claude'))
    execFileSync('/usr/bin/mkfifo', [join(at, '.claude/settings.json')])
  },
  'a .mcp.json folder': (at) => mkdirSync(join(at, '.mcp.json')),
  'folders as deep as a path is long': (at) => {
    const name = 'd'.repeat(200)
    mkdirSync(join(at, ...Array.from({ length: 15 }, () => name)), { recursive: true })
    put(join(at, '.git'), `gitdir: ${Array.from({ length: 15 }, () => name).join('/')}\n`)
  },
}

describe.skipIf(reason !== undefined)(`shapes of the workspace (${reason ?? 'bubblewrap is here'})`, () => {
  let bench: Bench
  let runner: RunnerProcess
  const ready = async () => await fetch(`${runner.url}/ready`)
  const work = () => run(runner.url, runInput(crypto.randomUUID(), 'work'))

  beforeAll(async () => {
    bench = await openBench()
    bench.gateway.use({
      rules: [
        {
          when: { prompt: 'work', round: 0 },
          reply: [{ tool: 'Bash', input: { command: 'cat /etc/hostname; ls /root; cat .git; id -u' } }],
        },
        { when: { prompt: 'work', round: 1 }, reply: 'It said: {{result}}' },
      ],
    })
    for (const [index, make] of Object.values(SHAPES).entries()) {
      const folder = join(bench.workspace, `shape-${index}`)
      mkdirSync(folder)
      make(folder)
      const above = join(bench.workspace, 'workflows', `shape-${index}`)
      mkdirSync(above, { recursive: true })
      make(above)
    }
    runner = await bench.start(AUTO)
  })
  afterAll(() => bench.close())

  test('all of them together, beside each other and as workflows, are no hindrance', async () => {
    expect(await runner.line(({ msg }) => msg === 'policy enforcement')).toMatchObject({ backend: 'bwrap' })
    const text = textOf(await work())
    expect(text).toContain("cannot access '/root'")
    const { status } = await ready()
    expect(status).toBe(200)
  })

  test('a process that cannot be started under the policy makes /ready say so, until one can', async () => {
    const check = async (): Promise<unknown> => {
      const { checks } = await bodyOf(await ready())
      return checks.find(({ name }: { name: string }) => name === 'policy_enforcement')
    }
    const certificates = join(bench.state, 'sandbox/tls')
    renameSync(certificates, `${certificates}-away`)
    const failed = await work()
    expect(failed.at(-1)).toMatchObject({ type: 'RUN_ERROR' })
    expect((await ready()).status).toBe(503)
    expect(await check()).toMatchObject({
      ok: false,
      message: expect.stringContaining('could not be started under the policy'),
    })
    renameSync(`${certificates}-away`, certificates)
    expect((await work()).at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
    expect(await check()).toMatchObject({ ok: true, message: 'enforced by bwrap' })
  })

  test.each(['worktree', 'submodule'])(
    'a %s is a workspace: git works inside, the rest of its repository does not change',
    async (kind) => {
      const world = join(bench.directory, kind)
      const main = join(world, 'main')
      put(join(main, 'a.txt'), 'a\n')
      git(main, 'init', '-q', '-b', 'main')
      git(main, 'add', '.')
      git(main, 'commit', '-qm', 'one')
      const workspace = kind === 'worktree' ? join(world, 'linked') : join(main, 'sub')
      if (kind === 'worktree') git(main, 'worktree', 'add', '-q', workspace)
      else {
        git(world, 'clone', '-q', '--bare', main, 'sub.git')
        git(main, 'submodule', 'add', '-q', join(world, 'sub.git'), 'sub')
      }
      const gitDirectory = git(workspace, 'rev-parse', '--absolute-git-dir').trim()
      const own = join(kind === 'worktree' ? join(main, '.git') : gitDirectory, 'config')
      const before = [readFileSync(own, 'utf8'), readFileSync(join(workspace, '.git'), 'utf8')]
      const script = `echo b >> a.txt; git status --short; git -c user.name=a -c user.email=a@a commit -qam two && echo committed; echo x >> ${own}; echo x > .git; mkdir -p ${dirname(own)}/hooks; echo x > ${dirname(own)}/hooks/post-checkout; echo x > ${gitDirectory}/commondir; ls ${main}; true`
      bench.gateway.use({
        rules: [
          { when: { prompt: 'work', round: 0 }, reply: [{ tool: 'Bash', input: { command: script } }] },
          { when: { prompt: 'work', round: 1 }, reply: 'It said: {{result}}' },
        ],
      })
      const other = await bench.start({
        ...AUTO,
        WORKSPACE_PATH: workspace,
        RUNNER_STATE_DIR: join(world, 'state'),
      })
      expect(await other.line(({ msg }) => msg === 'policy enforcement')).toMatchObject({ backend: 'bwrap' })
      const text = textOf(await run(other.url, runInput('thread', 'work')))
      expect(text).toContain('M a.txt')
      expect(text).toContain('committed')
      expect([readFileSync(own, 'utf8'), readFileSync(join(workspace, '.git'), 'utf8')]).toEqual(before)
      expect(existsSync(join(dirname(own), 'hooks/post-checkout'))).toBe(false)
      await other.stop()
      expect(git(workspace, 'log', '--format=%s')).toBe('two\none\n')
      expect(git(workspace, 'status', '--short')).toBe('')
    },
  )
})
