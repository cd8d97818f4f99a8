// What an agent may leave in a repository for somebody's git to execute afterwards, outside: of git-config,
// gitrepository-layout, githooks and gitattributes, each kind once.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { GIT_ENV } from './confined.ts'

const GITS = ['git', ...(process.env['AGUI_OTHER_GIT'] === undefined ? [] : [process.env['AGUI_OTHER_GIT']])]

interface Attack {
  /** Made by the person, in a repository with one commit of `a.txt` and `tools/clean.sh`. */
  before?: string
  /** Done by the agent; `$EVIL` is a program that leaves the marker. `$LATER` is the folder's path outside. */
  inside: string
  /** Where the person works later. */
  at?: string
  /** What the person does besides. */
  later?: string
}

const EVIL_CONFIG = `printf '[core]\\n\\trepositoryformatversion = 0\\n\\tbare = false\\n\\tfsmonitor = %s\\n[filter "e"]\\n\\tclean = %s\\n\\tsmudge = %s\\n[diff "e"]\\n\\ttextconv = %s\\n' "$EVIL_LATER" "$EVIL_LATER" "$EVIL_LATER" "$EVIL_LATER"`
const EVIL_REMOTE = 'git init -q --bare evil.git; cp $EVIL evil.git/hooks/post-receive'
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
  'a hook that is a link into the workspace': {
    before: 'cp tools/clean.sh tools/hook; ln -s ../../tools/hook .git/hooks/post-checkout',
    inside: 'cp -f $EVIL tools/hook; mv tools x; mkdir tools; cp $EVIL tools/hook',
  },
  'a hook by way of another link': {
    before: 'ln -s clean.sh tools/hook; ln -s ../../tools/hook .git/hooks/post-checkout',
    inside: 'cp $EVIL evil; ln -sf ../evil tools/hook; mv tools x; mkdir tools; cp $EVIL tools/hook',
  },
  'a hook that leads to nothing yet': {
    before: 'ln -s ../../tools/hook .git/hooks/post-checkout',
    inside: 'cp -f $EVIL tools/hook; mv tools x; mkdir tools; cp $EVIL tools/hook',
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
    inside: `cp -r .git/modules/sub evil; ${EVIL_CONFIG} > evil/config; echo $LATER/evil > .git/modules/sub/commondir`,
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
  'a remote of the older kind': {
    inside: `${EVIL_REMOTE}; mkdir -p .git/remotes; printf 'URL: %s/evil.git\nPush: HEAD:refs/heads/x\n' $LATER > .git/remotes/origin`,
    later: 'push -q',
  },
  'a remote of the oldest kind': {
    before: 'rm -rf .git/branches',
    inside: `${EVIL_REMOTE}; mkdir -p .git/branches; echo $LATER/evil.git#x > .git/branches/origin`,
    later: 'push -q origin HEAD:refs/heads/x',
  },
  'a remote in the workspace': {
    before: 'git init -q --bare bare.git; git remote add origin bare.git',
    inside:
      'cp $EVIL bare.git/hooks/post-receive; mv bare.git x; cp -r x bare.git; cp $EVIL bare.git/hooks/post-receive',
    later: 'push -q origin HEAD:refs/heads/x',
  },
  'a remote in the workspace, as a URL and without its ending': {
    before: 'git init -q --bare bare.git; git remote add origin file://$PWD/bare',
    inside:
      'cp $EVIL evil; echo "[core]hooksPath=$LATER/hooks" >> bare.git/config; mkdir hooks; mv evil hooks/post-receive',
    later: 'push -q origin HEAD:refs/heads/x',
  },
  "a remote's program": {
    before:
      "echo exit > tools/receive.sh; git remote add origin ../.. ; git config remote.origin.receivepack 'sh tools/receive.sh'",
    inside:
      'grep -v ^cat $EVIL > evil; cp -f evil tools/receive.sh; mv tools x; mkdir tools; cp evil tools/receive.sh',
    later: 'push -q origin HEAD:refs/heads/x',
  },
  'a worktree of it': {
    before: 'git worktree add -q linked',
    inside: `cp -r .git evil; ${EVIL_CONFIG} > evil/config; echo $LATER/evil > .git/worktrees/linked/commondir; mv .git/worktrees .git/x; cp -r .git/x .git/worktrees; echo $LATER/evil > .git/worktrees/linked/commondir`,
    at: 'linked',
  },
}

export const NAMES: readonly string[] = Object.keys(ATTACKS)

function SUBMODULE(): string {
  return 'git init -q --bare ../sub.git; git push -q ../sub.git HEAD:refs/heads/main; git --git-dir=../sub.git symbolic-ref HEAD refs/heads/main; git -c protocol.file.allow=always submodule add -q ../sub.git sub; git commit -qm sub'
}

function GITLINK(name: string): string {
  return `git init -q ${name}; git -C ${name} -c user.name=e -c user.email=e@e commit -q --allow-empty -m x; git update-index --add --cacheinfo 160000,$(git -C ${name} rev-parse HEAD),${name}`
}

const LATER = ['status', 'diff', 'log -p', 'checkout -q -f -b later', 'checkout -q -']

function folderOf(workspace: string, name: string): string {
  return join(workspace, 'repos', String(NAMES.indexOf(name)))
}

/** Runs them one after the other in one shell, each in a shell of its own below; returns what they print. */
function sh(scripts: readonly string[]): string {
  const script = scripts.map((one) => `(${one}\n) </dev/null`).join('\n')
  try {
    return execFileSync('/bin/sh', ['-c', `${script}\ntrue`], {
      env: GIT_ENV,
      encoding: 'utf8',
      stdio: 'pipe',
    })
  } catch (error) {
    throw new Error('the shell of the attempts was stopped', { cause: error })
  }
}

/** Makes the workspace with a repository for each. Records what their `.git` folders hold. */
export function lay(workspace: string, world: string, names = NAMES): Map<string, string[]> {
  const steps = names.map((name) => {
    const folder = folderOf(workspace, name)
    mkdirSync(join(folder, 'tools'), { recursive: true })
    writeFileSync(join(folder, 'a.txt'), 'a\n')
    writeFileSync(join(folder, 'tools/clean.sh'), '#!/bin/sh\nexec cat\n', { mode: 0o755 })
    const before = (ATTACKS[name]?.before ?? '').replaceAll(
      '../sub.git',
      `${world}/sub-${folder.split('/').at(-1)}.git`,
    )
    return `cd ${folder}; git init -q -b main; git add .; git commit -qm one; echo b >> a.txt; ${before}`
  })
  sh(steps)
  return new Map(names.map((name) => [name, gitNames(workspace, name)]))
}

/** The names in the repository's `.git`. */
export function gitNames(workspace: string, name: string): string[] {
  return readdirSync(join(folderOf(workspace, name), '.git')).sort()
}

/** Does these attempts in a new world without any sandbox; returns the first execution of each. */
export function workBare(world: string, names: readonly string[]): string[] {
  const workspace = join(world, 'workspace')
  lay(workspace, world, names)
  sh(scripts(workspace, names))
  return executed(workspace, world, { names, wanted: 'first' })
}

/** Everything that the agent does, as one script. `shown` is the workspace's path inside. */
export function attackScript(workspace: string, shown = workspace): string {
  return scripts(workspace, NAMES, shown)
    .map((one) => `( ${one} )`)
    .join('\n')
}

/** One per attempt; the program leaves a file beside the workspace, which only what runs outside can do. */
function scripts(workspace: string, names: readonly string[], shown = workspace): string[] {
  return names.map((name) => {
    const folder = folderOf(workspace, name)
    const evil = `evil-${folder.split('/').at(-1)}`
    const program = `#!/bin/sh\\ntouch "${dirname(workspace)}/marker"\\ncat\\n`
    return `cd ${folderOf(shown, name)} || exit; LATER=${folder}; EVIL=${shown}/${evil}; EVIL_LATER=${workspace}/${evil}; printf '${program}' > $EVIL; chmod 755 $EVIL; touch -d @1 a.txt; ${ATTRIBUTES.replace('>', '>>')}; ${ATTACKS[name]?.inside}`
  })
}

/** `name: git command` of what executed something; for each name all of them, or the first. */
export function executed(
  workspace: string,
  world: string,
  { names = NAMES, wanted = 'all' }: { names?: readonly string[]; wanted?: 'all' | 'first' } = {},
): string[] {
  const marker = join(world, 'marker')
  const looks = names.map((name) => {
    const { at = '.', later } = ATTACKS[name] ?? {}
    const commands = GITS.flatMap((git) =>
      [...LATER, ...(later === undefined ? [] : [later])].map(
        (words) => `${git} -c safe.directory='*' ${words}`,
      ),
    )
    const end = wanted === 'first' ? 'exit' : ':'
    const steps = commands.map(
      (command) =>
        `${command} >/dev/null 2>&1 </dev/null; [ ! -e ${marker} ] || { rm ${marker}; echo "${name}: ${command}"; ${end}; }`,
    )
    return [`cd ${join(folderOf(workspace, name), at)} || exit`, ...steps].join('\n')
  })
  rmSync(marker, { force: true })
  return sh(looks).split('\n').slice(0, -1)
}
