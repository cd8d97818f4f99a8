// What an agent left in a repository must execute nothing when somebody uses git there afterwards, outside.
// AGUI_OTHER_GIT is the command of another git, such as a newer one, that is tried beside the installed one.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadPolicy } from '../../src/policy/read/load.ts'
import { createEnforcement, type Enforcement } from '../../src/sandbox/enforcement.ts'
import { missingNeed } from '../sandbox/needs.ts'

const reason = missingNeed()
const ROOT = new URL('../../', import.meta.url).pathname
const GITS = ['git', ...(process.env['AGUI_OTHER_GIT'] === undefined ? [] : [process.env['AGUI_OTHER_GIT']])]

interface Attack {
  /** Made by the person, in a repository with one commit of `a.txt` and `tools/clean.sh`. */
  before?: string
  /** Done by the agent; `$EVIL` is a program that leaves the marker. */
  inside: string
  /** Where the person works later. */
  at?: string
}

const EVIL_CONFIG = `printf '[core]\\n\\trepositoryformatversion = 0\\n\\tbare = false\\n\\tfsmonitor = %s\\n[filter "e"]\\n\\tclean = %s\\n\\tsmudge = %s\\n[diff "e"]\\n\\ttextconv = %s\\n' "$EVIL" "$EVIL" "$EVIL" "$EVIL"`
const ATTRIBUTES = "echo '* filter=e diff=e' > .gitattributes"

const ATTACKS: Record<string, Attack> = {
  config: { inside: `${EVIL_CONFIG} > .git/config` },
  'config, exchanged': { inside: `${EVIL_CONFIG} > c; mv -f c .git/config` },
  'the folder, exchanged': { inside: `mv .git old; cp -r old .git; ${EVIL_CONFIG} > .git/config` },
  'a common folder': {
    inside: `cp -r .git evil; ${EVIL_CONFIG} > evil/config; echo ../evil > .git/commondir`,
  },
  'settings of a worktree': {
    before: 'git config extensions.worktreeConfig true',
    inside: `${EVIL_CONFIG} > .git/config.worktree`,
  },
  'settings of a worktree that are there': {
    before: 'git config extensions.worktreeConfig true; git config --worktree x.y z',
    inside: `${EVIL_CONFIG} > .git/config.worktree`,
  },
  'an included file': {
    before: 'echo > shared.gitconfig; git config include.path ../shared.gitconfig',
    inside: `${EVIL_CONFIG} > shared.gitconfig`,
  },
  'an included file that is not there': {
    before: 'git config include.path ../shared.gitconfig',
    inside: `${EVIL_CONFIG} > shared.gitconfig`,
  },
  'a file included by an included one, on a branch': {
    before:
      'printf \'[includeIf "onbranch:other"]\\n\\tpath = deep/b.gitconfig\\n\' > a.gitconfig; mkdir deep; echo > deep/b.gitconfig; git config include.path ../a.gitconfig',
    inside: `${EVIL_CONFIG} > deep/b.gitconfig; mv deep x; mkdir deep; ${EVIL_CONFIG} > deep/b.gitconfig; git checkout -qb other`,
  },
  'a hook': {
    inside:
      'rm -rf .git/hooks; mkdir .git/hooks; cp $EVIL .git/hooks/post-checkout; cp $EVIL .git/hooks/post-index-change',
  },
  'a hook where no hooks are': {
    before: 'rm -rf .git/hooks',
    inside: 'mkdir -p .git/hooks; cp $EVIL .git/hooks/post-checkout',
  },
  'a hook elsewhere': {
    before: 'mkdir -p .husky; echo > .husky/keep; git config core.hooksPath .husky',
    inside: 'cp $EVIL .husky/post-checkout; mv .husky x; mkdir .husky; cp $EVIL .husky/post-checkout',
  },
  'a hook elsewhere, not there': {
    before: 'git config core.hooksPath .githooks',
    inside: 'mkdir .githooks; cp $EVIL .githooks/post-checkout',
  },
  "a filter's program": {
    before: `git config filter.e.clean './tools/clean.sh %f'; echo '*.txt filter=e' > .gitattributes`,
    inside: 'cp -f $EVIL tools/clean.sh; rm -rf tools; mkdir tools; cp $EVIL tools/clean.sh',
  },
  "a filter's program behind an interpreter": {
    before: `git config filter.e.clean 'sh tools/clean.sh'; echo '*.txt filter=e' > .gitattributes`,
    inside: 'cp -f $EVIL tools/clean.sh; mv tools x; mkdir tools; cp $EVIL tools/clean.sh',
  },
  "a filter's program behind one of the person's home": {
    before: `git config filter.e.clean '~/nothing || sh tools/clean.sh'; echo '*.txt filter=e' > .gitattributes`,
    inside: 'cp -f $EVIL tools/clean.sh; mv tools x; mkdir tools; cp $EVIL tools/clean.sh',
  },
  "a filter's program that is not there": {
    before: `git config filter.e.clean './tools/new.sh'; echo '*.txt filter=e' > .gitattributes`,
    inside: 'cp $EVIL tools/new.sh',
  },
  'attributes of the repository, and a driver': {
    inside: `mkdir -p .git/info; echo '* filter=e diff=e' > .git/info/attributes; ${EVIL_CONFIG} >> .git/config`,
  },
  'a file monitor of the workspace': {
    before: 'git config core.fsmonitor tools/clean.sh',
    inside: 'cp -f $EVIL tools/clean.sh; mv tools x; mkdir tools; cp $EVIL tools/clean.sh',
  },
  "a submodule's config": {
    before: SUBMODULE(),
    inside: `${EVIL_CONFIG} > .git/modules/sub/config; mv .git/modules x; cp -r x .git/modules; ${EVIL_CONFIG} > .git/modules/sub/config`,
  },
  "a submodule's common folder": {
    before: SUBMODULE(),
    inside: `cp -r .git/modules/sub evil; ${EVIL_CONFIG} > evil/config; echo $PWD/evil > .git/modules/sub/commondir`,
  },
  "a submodule's .git": {
    before: SUBMODULE(),
    inside: `cp -r .git/modules/sub evil; ${EVIL_CONFIG} > evil/config; echo gitdir: ../evil > sub/.git; mv sub x; mkdir sub; echo gitdir: ../evil > sub/.git`,
  },
  'a repository in the submodule': {
    before: SUBMODULE(),
    inside: `cp -r .git/modules/sub .git/modules/sub/evil; ${EVIL_CONFIG} > .git/modules/sub/evil/config; ${GITLINK('inner')}; rm -rf inner/.git; echo gitdir: ../.git/modules/sub/evil > inner/.git`,
  },
  'a repository that the index names': { inside: `${GITLINK('inner')}; ${EVIL_CONFIG} > inner/.git/config` },
  'one in a submodule': {
    before: SUBMODULE(),
    inside: `cd sub; ${GITLINK('inner')}; ${EVIL_CONFIG} > inner/.git/config`,
  },
  'a worktree of it': {
    before: 'git worktree add -q linked',
    inside: `cp -r .git evil; ${EVIL_CONFIG} > evil/config; echo $PWD/evil > .git/worktrees/linked/commondir; mv .git/worktrees .git/x; cp -r .git/x .git/worktrees; echo $PWD/evil > .git/worktrees/linked/commondir`,
    at: 'linked',
  },
}

function SUBMODULE(): string {
  return 'git init -q --bare ../sub.git; git push -q ../sub.git HEAD:refs/heads/main; git --git-dir=../sub.git symbolic-ref HEAD refs/heads/main; git -c protocol.file.allow=always submodule add -q ../sub.git sub; git commit -qm sub'
}

function GITLINK(name: string): string {
  return `git init -q ${name}; git -C ${name} -c user.name=e -c user.email=e@e commit -q --allow-empty -m x; git update-index --add --cacheinfo 160000,$(git -C ${name} rev-parse HEAD),${name}`
}

const BARE_ROUNDS = 4
const LATER = ['status', 'diff', 'log -p', 'checkout -q -f -b later', 'checkout -q -']

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
      for (const script of scripts(join(world, 'workspace'))) sh(script, join(world, 'workspace'))
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

function folderOf(workspace: string, name: string): string {
  return join(workspace, 'repos', String(Object.keys(ATTACKS).indexOf(name)))
}

function sh(script: string, cwd: string, env: Record<string, string> = {}): void {
  try {
    execFileSync('/bin/sh', ['-c', script], { cwd, env: { ...ENV, ...env }, stdio: 'pipe' })
  } catch {
    // An attempt may fail; what counts is what is executed later.
  }
}

const ENV = {
  PATH: '/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 't',
  GIT_AUTHOR_EMAIL: 't@t',
  GIT_COMMITTER_NAME: 't',
  GIT_COMMITTER_EMAIL: 't@t',
}

function lay(workspace: string, world: string, entries: Map<string, string[]>): void {
  mkdirSync(join(workspace, 'repos'), { recursive: true })
  for (const [name, { before = '' }] of Object.entries(ATTACKS)) {
    const folder = folderOf(workspace, name)
    mkdirSync(join(folder, 'tools'), { recursive: true })
    writeFileSync(join(folder, 'a.txt'), 'a\n')
    writeFileSync(join(folder, 'tools/clean.sh'), '#!/bin/sh\nexec cat\n', { mode: 0o755 })
    const steps = 'git init -q -b main; git add .; git commit -qm one; echo b >> a.txt'
    sh(`${steps}; ${before.replaceAll('../sub.git', `${world}/sub-${folder.split('/').at(-1)}.git`)}`, folder)
    entries.set(name, readdirSync(join(folder, '.git')).sort())
  }
}

/** One per attempt; the program leaves a file beside the workspace, which only what runs outside can do. */
function scripts(workspace: string): string[] {
  return Object.entries(ATTACKS).map(([name, { inside }]) => {
    const folder = folderOf(workspace, name)
    const evil = join(workspace, `evil-${folder.split('/').at(-1)}`)
    const program = `#!/bin/sh\\ntouch "${dirname(workspace)}/marker"\\ncat\\n`
    return `cd ${folder} || exit; EVIL=${evil}; printf '${program}' > $EVIL; chmod 755 $EVIL; touch -d @1 a.txt; ${ATTRIBUTES.replace('>', '>>')}; ${inside}`
  })
}

async function workInside(workspace: string, world: string, entries: Map<string, string[]>): Promise<void> {
  const state = join(world, 'state')
  mkdirSync(state)
  const enforcement: Enforcement = await createEnforcement({
    policy: await loadPolicy(`${ROOT}test/sandbox/escape-policy.yaml`),
    mode: 'required',
    env: {},
    places: {
      workspace,
      state,
      claudeState: join(state, 'claude'),
      wrappers: `${ROOT}wrappers`,
      claude: undefined,
      hidden: [state],
      frozen: [],
    },
  })
  const script = scripts(workspace)
    .map((one) => `( ${one} )`)
    .join('\n')
  const { spawn } = await enforcement.prepare()
  const child = spawn({ command: '/bin/sh', args: ['-c', script], cwd: workspace, env: ENV })
  child.stdin?.end()
  child.stdout?.resume()
  child.stderr?.resume()
  await once(child, 'close')
  await enforcement.close()
  for (const name of Object.keys(ATTACKS)) {
    entries.set(name, readdirSync(join(folderOf(workspace, name), '.git')).sort())
  }
}

/** `name: git command` of what executed something. */
function executed(workspace: string, world: string): Set<string> {
  const marker = join(world, 'marker')
  const said = new Set<string>()
  rmSync(marker, { force: true })
  for (const [name, { at = '.' }] of Object.entries(ATTACKS)) {
    const folder = join(folderOf(workspace, name), at)
    for (const command of GITS.flatMap((git) =>
      LATER.map((words) => `${git} -c safe.directory='*' ${words}`),
    )) {
      sh(`${command} </dev/null`, folder)
      if (!existsSync(marker)) continue
      said.add(`${name}: ${command}`)
      rmSync(marker)
      // Without a sandbox one is enough.
      if (world.endsWith('bare')) break
    }
  }
  return said
}
