// A launcher of a process that is killed at any of its steps: sweep leaves nothing of it, and no commit is lost.
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ProcessRef, processes, withDescendants } from '../../src/process-table.ts'
import { untilGone } from '../../src/sandbox/bwrap/leftovers.ts'
import { git } from '../support/git-server.ts'
import type { OneOffProcess } from '../support/one-off.ts'
import { KEY, type Launchers, launchersOn } from '../support/outside.ts'
import { pidOf, processesWith } from '../support/processes.ts'
import { createRandom } from '../support/random.ts'
import { type Bench, openBench } from '../support/runner.ts'

/** Of the 50 and more there are; all with AGUI_KILL_POINTS=all. */
const POINTS = process.env['AGUI_KILL_POINTS'] === 'all' ? Number.POSITIVE_INFINITY : 3
const SEED = Number(process.env['AGUI_SEED'] ?? Date.now())
const GIT = execFileSync('which', ['git'], { encoding: 'utf8' }).trim()
/** git's commands of one run on a clone: its questions, the clone, and the way back of what was committed. */
const COMMANDS = 13
const MOMENTS = ['before', 'during', 'after'] as const
/** What a launch makes, in that order. `leaving` is its folder under the name that it has while it is removed. */
const MADE = [
  'draft',
  'launch.json',
  'g/gateway.sock',
  'passwd',
  'a/agent.sock',
  'answer',
  'leaving',
] as const

type Point =
  | { workspace: 'clone'; at: number; moment: (typeof MOMENTS)[number] }
  | { workspace: 'clone' | 'mount'; made: (typeof MADE)[number] | '.git/commondir' }

const ALL: Point[] = [
  ...Array.from({ length: COMMANDS }, (_, index) =>
    MOMENTS.map((moment): Point => ({ workspace: 'clone', at: index + 1, moment })),
  ).flat(),
  ...MADE.map((made): Point => ({ workspace: 'clone', made })),
  ...([...MADE, '.git/commondir'] as const).map((made): Point => ({ workspace: 'mount', made })),
]

/** In git's place: at its N-th command it kills who has called it, and says when nothing more comes of it. */
const shim = (folder: string, { at, moment }: { at: number; moment: string }): string => `#!/bin/sh
count=1
until mkdir ${folder}/$count 2>/dev/null; do count=$((count + 1)); done
[ $count = ${at} ] || exec ${GIT} "$@"
case ${moment} in
  before) kill -9 $PPID ;;
  during) ${GIT} "$@" >/dev/null 2>&1 & kill -9 $PPID; wait ;;
  after) ${GIT} "$@" >/dev/null 2>&1; kill -9 $PPID ;;
esac
echo >${folder}/killed
`

const WHO = {
  ...{ GIT_AUTHOR_NAME: 't', GIT_AUTHOR_EMAIL: 't@example.org' },
  ...{ GIT_COMMITTER_NAME: 't', GIT_COMMITTER_EMAIL: 't@example.org' },
}

let bench: Bench
let launchers: Launchers
let checkout: string
let programs: string

beforeAll(async () => {
  const commit = 'echo new >new.txt && git add new.txt && git commit -qm "By the agent"'
  bench = await openBench({
    script: {
      rules: [
        { when: { round: 0 }, reply: [{ tool: 'Bash', input: { command: commit } }] },
        { reply: 'committed' },
      ],
    },
  })
  programs = join(bench.directory, 'bin')
  mkdirSync(programs)
  for (const name of ['docker', 'podman']) program(programs, name, '#!/bin/sh\nexit 1\n')
  launchers = launchersOn(bench, { args: ['--isolation', 'process'] })
})
afterAll(() => bench.close())

function program(folder: string, name: string, text: string): void {
  writeFileSync(join(folder, name), text)
  chmodSync(join(folder, name), 0o755)
}

const runFolders = (): string[] =>
  readdirSync(bench.directory).filter((name) => name.startsWith('agui-launch-'))

/** Resolves when the condition holds, as the changes of these folders tell. */
async function until(holds: () => boolean, ...folders: string[]): Promise<void> {
  const watchers = folders.map((folder) => watch(folder))
  while (!holds()) await Promise.race(watchers.map((watcher) => once(watcher, 'change')))
  for (const watcher of watchers) watcher.close()
}

async function untilMade(made: string, started: OneOffProcess): Promise<void> {
  const parent = bench.directory
  const isDraft = (name: string): boolean => /\.\d+$/.test(name)
  if (made === '.git/commondir')
    return await until(() => existsSync(join(checkout, made)), join(checkout, '.git'))
  if (made === 'answer') return await started.has('stdout', 'committed')
  if (made === 'draft') return await until(() => runFolders().length > 0, parent)
  await until(() => runFolders().some((name) => !isDraft(name)), parent)
  if (made === 'leaving') return await until(() => runFolders().every(isDraft), parent)
  const folder = join(parent, runFolders()[0] ?? '')
  await until(() => existsSync(join(folder, made)), join(folder, made, '..'))
}

/** A checkout with one commit, of its own for each point. */
function layCheckout(name: string): void {
  checkout = join(bench.directory, name)
  mkdirSync(checkout)
  git(checkout, 'init', '-q', '-b', 'main')
  git(checkout, 'config', 'user.name', 't')
  git(checkout, 'config', 'user.email', 't@example.org')
  git(checkout, 'commit', '-q', '--allow-empty', '-m', 'first')
}

/** Starts a run and kills it there. Returns it with the processes that it had. */
async function killedAt(point: Point, index: number): Promise<{ killed: OneOffProcess; own: ProcessRef[] }> {
  const shims = join(bench.directory, `shim-${index}`)
  mkdirSync(shims)
  if ('at' in point) program(shims, 'git', shim(shims, point))
  const started = launchers.start(['--workspace', point.workspace, '-p', 'go'], {
    cwd: checkout,
    env: { PATH: `${shims}:${programs}:${process.env['PATH']}`, ...WHO },
  })
  let own: ProcessRef[] = []
  if ('made' in point) {
    await untilMade(point.made, started)
    started.child.kill('SIGSTOP')
    const rows = processes()
    const pids = withDescendants(rows, [pidOf(started.child.pid)])
    own = rows.filter(({ pid }) => pids.has(pid))
    started.child.kill('SIGKILL')
  }
  const end = await started.exited
  // The last step may be over before it is seen.
  if (end !== 0 || !('made' in point) || point.made !== 'leaving')
    expect([point, end]).toEqual([point, 'SIGKILL'])
  if ('at' in point) await until(() => existsSync(join(shims, 'killed')), shims)
  return { killed: started, own }
}

function expectNothingLeft(): void {
  expect(runFolders()).toEqual([])
  const place = join(bench.directory, 'agui-launch-')
  expect(processesWith(place)).toEqual([])
  for (const file of ['/proc/self/mountinfo', '/proc/net/unix', '/proc/self/cgroup'])
    expect(readFileSync(file, 'utf8')).not.toContain(place)
  expect(readdirSync(join(checkout, '.git'))).not.toContain('commondir')
  expect(git(checkout, '-c', 'safe.directory=*', 'status', '--porcelain')).toBe('')
}

/** The files with the key, also while a process that is just ending removes others. */
const keysBelow = (folder: string): string =>
  spawnSync('grep', ['-rslF', KEY, folder], { encoding: 'utf8' }).stdout

test(`killed at any step (seed ${SEED}): sweep leaves nothing, no file had the key, and what was committed is kept`, async () => {
  const random = createRandom(SEED)
  const rest = [...ALL]
  const points =
    POINTS >= rest.length
      ? rest
      : Array.from({ length: POINTS }, () => rest.splice(random(rest.length), 1)).flat()
  for (const [index, point] of points.entries()) {
    layCheckout(`checkout-${index}`)
    // Root mounts a folder for its owner, and clones none but its own.
    if (point.workspace === 'mount' && process.getuid?.() === 0)
      execFileSync('chown', ['-R', '10001:0', checkout])
    const { killed, own } = await killedAt(point, index)
    for (const name of runFolders()) expect(keysBelow(join(bench.directory, name))).toBe('')
    const swept = await launchers.run([], {
      command: 'sweep',
      env: { PATH: `${programs}:${process.env['PATH']}` },
    })
    expect([point, swept]).toEqual([
      point,
      expect.objectContaining({ code: 0, stdout: expect.not.stringMatching(/^kept/m) }),
    ])
    await Promise.all(own.map(untilGone))
    expectNothingLeft()
    const subjects = git(checkout, '-c', 'safe.directory=*', 'log', '--all', '--format=%s').trim().split('\n')
    if (killed.stdout().includes('committed'))
      expect([point, subjects]).toEqual([point, ['By the agent', 'first']])
  }
}, 1_200_000)
