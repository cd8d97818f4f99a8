// Performs Dockerfile.openshell without a container engine: every instruction as it stands, on a folder per stage
// whose base is this machine (/usr and what lies in it) and Node 24. An instruction it does not know is an error,
// so the file and what the tests start cannot drift apart. Needs root: the image's files belong to several users.
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, posix, resolve } from 'node:path'
import { promisify } from 'node:util'
import { type Dockerfile, expand, type Instruction, type Stage } from './dockerfile.ts'

export interface Image {
  /** Its root, but for /usr, which is this machine's; /usr/local is its own. */
  root: string
  env: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
  user: string
  workdir: string
  command: readonly string[]
  /** How long each instruction took, in seconds. */
  steps: readonly { line: number; keyword: string; seconds: number }[]
}

export interface BuildOptions {
  /** The folder that is sent to the builder. */
  context: string
  /** Where the stages are assembled; the caller removes it. */
  directory: string
  /** The file with Node, standing in for the base's. */
  node: string
  /** The folder that the same lock file made: taken instead of performing `npm ci`, which costs most of all. */
  installed?: string | undefined
}

export const BWRAP = 'bwrap'

// biome-ignore lint/suspicious/noTemplateCurlyInString: as the Dockerfile has it
const BASE = '${BASE_IMAGE}'

type Variables = Record<string, string>

interface StageState {
  root: string
  args: Variables
  env: Variables
  labels: Variables
  user: string
  workdir: string
  entrypoint: readonly string[]
  command: readonly string[]
}

interface Build extends BuildOptions {
  ignored: (path: string) => boolean
  npm: NpmOfThisMachine
  stages: Map<string, StageState>
}

interface NpmOfThisMachine {
  folder: string
  settings: Readonly<Record<string, unknown>>
}

/** Why this machine cannot assemble an image, if it cannot. */
export function whyNoImage(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the image is for linux/amd64'
  if (process.getuid?.() !== 0) return 'only root can give files to the image’s users'
  for (const tool of ['bwrap', 'setpriv', 'useradd', 'npm', 'git', 'gh', 'curl', 'ps']) {
    if (spawnSync('which', [tool]).status !== 0) return `${tool} is not installed`
  }
  const tried = spawnSync(BWRAP, ['--unshare-pid', '--ro-bind', '/', '/', 'true'], { encoding: 'utf8' })
  return tried.status === 0 ? undefined : `bubblewrap cannot run: ${tried.stderr.trim()}`
}

export async function assembleImage(dockerfile: Dockerfile, options: BuildOptions): Promise<Image> {
  const build: Build = {
    ...options,
    ignored: readIgnoreFile(join(options.context, '.dockerignore')),
    npm: npmOfThisMachine(options.directory),
    stages: new Map(),
  }
  const base = join(options.directory, 'base')
  makeBase(base, options.node)
  const first = dockerfile.instructions.findIndex(({ keyword }) => keyword === 'FROM')
  const globals: Variables = {}
  for (const { pairs } of dockerfile.instructions.slice(0, first)) setPairs(globals, pairs)

  const steps: { line: number; keyword: string; seconds: number }[] = []
  let last: StageState | undefined
  for (const stage of dockerfile.stages) {
    last = startStage(build, stage, base)
    for (const instruction of stage.instructions) {
      const start = performance.now()
      await perform(build, { state: last, globals }, instruction)
      steps.push({ ...instruction, seconds: (performance.now() - start) / 1000 })
    }
  }
  if (last === undefined) throw new Error('the Dockerfile has no stage')
  const { root, env, labels, user, workdir } = last
  return { root, env, labels, user, workdir, steps, command: [...last.entrypoint, ...last.command] }
}

/** Bubblewrap's arguments that show a tree as the root, `/usr` being this machine's. */
export function rootMounts(root: string, access: 'read' | 'write'): string[] {
  const bind = access === 'read' ? '--ro-bind' : '--bind'
  return [
    ...[bind, root, '/', '--ro-bind', '/usr', '/usr', bind, join(root, 'usr/local'), '/usr/local'],
    ...['--proc', '/proc', '--dev', '/dev'],
  ]
}

/** `/etc` of the stand-in for a base image: what programs need of this machine's, and no user but root. */
const BASE_ETC = [
  'alternatives',
  'bash.bashrc',
  'ca-certificates.conf',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
]
const BASE_ETC_TOO = [
  'login.defs',
  'nsswitch.conf',
  'os-release',
  'pam.d',
  'profile',
  'profile.d',
  'ssl/certs',
]
const BASE_FILES = {
  passwd: 'root:x:0:0:root:/root:/bin/bash\n',
  group: 'root:x:0:\n',
  shadow: 'root:*:20000:0:99999:7:::\n',
  gshadow: 'root:*::\n',
  hosts: '127.0.0.1 localhost\n',
  // A pod's, as Kubernetes writes it; nothing answers there.
  'resolv.conf': 'nameserver 127.0.0.1\nsearch a.svc.cluster.local\noptions ndots:5\n',
}

function makeBase(root: string, node: string): void {
  for (const folder of ['dev', 'etc', 'home', 'proc', 'root', 'run', 'tmp', 'usr/local/bin', 'var/tmp']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  for (const folder of ['tmp', 'var/tmp']) chmodSync(join(root, folder), 0o1777)
  for (const name of ['bin', 'lib', 'lib64', 'sbin']) {
    if (lstatSync(`/${name}`, { throwIfNoEntry: false })?.isSymbolicLink()) {
      symlinkSync(readlinkSync(`/${name}`), join(root, name))
    }
  }
  for (const name of [...BASE_ETC, ...BASE_ETC_TOO].filter((name) => existsSync(`/etc/${name}`))) {
    mkdirSync(dirname(join(root, 'etc', name)), { recursive: true })
    execFileSync('cp', ['-a', `/etc/${name}`, join(root, 'etc', name)])
  }
  for (const [name, text] of Object.entries(BASE_FILES)) writeFileSync(join(root, 'etc', name), text)
  cpSync(node, join(root, 'usr/local/bin/node'))
  mkdirSync(join(root, 'usr/local/lib/node_modules/npm'), { recursive: true })
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'))
}

function npmOfThisMachine(cwd: string): NpmOfThisMachine {
  const cli = realpathSync(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim())
  const settings = execFileSync('npm', ['config', 'list', '--json'], { cwd, encoding: 'utf8', stdio: 'pipe' })
  return { folder: resolve(dirname(cli), '..'), settings: JSON.parse(settings) }
}

function startStage({ directory, stages }: Build, stage: Stage, base: string): StageState {
  if (stage.image !== BASE) throw new Error(`no stand-in for the base ${stage.image}`)
  const root = join(directory, `stage-${stage.name}`)
  execFileSync('cp', ['-al', base, root])
  // Files that programs change in place may not be shared with the base.
  execFileSync('cp', ['-a', '--remove-destination', `${base}/etc/.`, join(root, 'etc')])
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }
  const state = { root, args: {}, env, labels: {}, user: 'root', workdir: '/', entrypoint: [], command: [] }
  stages.set(stage.name, state)
  return state
}

async function perform(
  build: Build,
  { state, globals }: { state: StageState; globals: Variables },
  step: Instruction,
): Promise<void> {
  const values = (pairs: Instruction['pairs']): Instruction['pairs'] =>
    pairs.map(([name, value]) => [
      name,
      value === undefined ? value : expand(value, { ...state.args, ...state.env }),
    ])
  switch (step.keyword) {
    case 'ARG':
      for (const [name, value] of values(step.pairs)) state.args[name] = value ?? globals[name] ?? ''
      return
    case 'ENV':
      setPairs(state.env, values(step.pairs))
      return
    case 'LABEL':
      setPairs(state.labels, values(step.pairs))
      return
    case 'USER':
      state.user = step.text
      return
    case 'WORKDIR':
      state.workdir = posix.resolve(state.workdir, step.text)
      mkdirSync(join(state.root, state.workdir), { recursive: true })
      return
    case 'COPY':
      copy(build, state, step)
      return
    case 'RUN':
      await runInStage(build, state, step)
      return
    case 'EXPOSE':
    case 'HEALTHCHECK':
      // For an engine, which is not here; dockerfile.test.ts reads them.
      return
    case 'ENTRYPOINT':
      state.entrypoint = jsonOf(step)
      return
    case 'CMD':
      state.command = jsonOf(step)
      return
    default:
      throw new Error(`line ${step.line}: the test cannot perform ${step.keyword}; teach image-tree.ts to`)
  }
}

function setPairs(variables: Variables, pairs: Instruction['pairs']): void {
  for (const [name, value] of pairs) variables[name] = value ?? ''
}

function jsonOf({ line, keyword, words, isJson }: Instruction): readonly string[] {
  if (!isJson) throw new Error(`line ${line}: ${keyword} is not in JSON form`)
  return words
}

function copy({ context, ignored, stages }: Build, { root, workdir }: StageState, step: Instruction): void {
  const { from, chmod, ...unknown } = step.flags
  if (Object.keys(unknown).length > 0)
    throw new Error(`line ${step.line}: no stand-in for ${Object.keys(unknown)}`)
  const stage = from === undefined ? undefined : stages.get(from)
  if (from !== undefined && stage === undefined)
    throw new Error(`line ${step.line}: there is no stage ${from}`)
  const sources = step.words.slice(0, -1)
  const to = step.words.at(-1) ?? ''
  const target = join(root, posix.resolve(workdir, to))
  for (const source of sources) {
    if (stage === undefined && ignored(source))
      throw new Error(`.dockerignore keeps ${source} from the builder`)
    const origin = join(stage?.root ?? context, source)
    const isFolder = statSync(origin).isDirectory()
    const destination =
      isFolder || !(to.endsWith('/') || sources.length > 1) ? target : join(target, basename(source))
    mkdirSync(isFolder ? destination : dirname(destination), { recursive: true })
    // Links instead of copies: Claude Code is large, and nothing writes to an earlier stage any more.
    const how = stage === undefined ? ['-R', '--preserve=mode'] : ['-a', '--link']
    execFileSync('cp', [...how, isFolder ? `${origin}/.` : origin, destination])
    if (stage === undefined) execFileSync('chown', ['-hR', '0:0', destination])
    if (chmod !== undefined) execFileSync('chmod', ['-R', chmod, destination])
  }
}

async function runInStage(
  { npm, installed }: Build,
  { root, args, env, user, workdir }: StageState,
  step: Instruction,
): Promise<void> {
  if (step.isJson) throw new Error(`line ${step.line}: the test performs the shell form of RUN only`)
  if (installed !== undefined && step.text.startsWith('npm ci ')) {
    takePackages(installed, join(root, workdir, 'node_modules'))
    return
  }
  const home = /^sandbox:(?:[^:]*:){4}([^:]*)/m.exec(readFileSync(join(root, 'etc/passwd'), 'utf8'))?.[1]
  const { registry, cache, userconfig } = npm.settings
  const variables: Variables = {
    HOME: user === 'root' ? '/root' : (home ?? '/'),
    // This machine's way to the packages; of a builder's it would be the secret's business.
    npm_config_registry: String(registry),
    npm_config_cache: '/run/npm-cache',
    npm_config_prefer_offline: 'true',
    npm_config_update_notifier: 'false',
    ...args,
    ...env,
  }
  const trusted = process.env['NODE_EXTRA_CA_CERTS']
  if (trusted !== undefined && existsSync(trusted)) variables['NODE_EXTRA_CA_CERTS'] = '/run/ca.pem'
  const mounts = [
    ...['--ro-bind', npm.folder, '/usr/local/lib/node_modules/npm', '--tmpfs', '/run'],
    ...['--bind', String(cache), '/run/npm-cache', '--ro-bind', '/etc/resolv.conf', '/etc/resolv.conf'],
    ...['--ro-bind', '/etc/hosts', '/etc/hosts'],
    ...(variables['NODE_EXTRA_CA_CERTS'] === undefined ? [] : ['--ro-bind', String(trusted), '/run/ca.pem']),
    ...secretMount(step, String(userconfig)),
  ]
  const become = user === 'root' ? [] : ['setpriv', '--reuid', user, '--regid', user, '--init-groups', '--']
  const bwrap = [
    ...['--die-with-parent', '--unshare-pid', '--unshare-ipc', '--clearenv'],
    ...rootMounts(root, 'write'),
    ...mounts,
    ...Object.entries(variables).flatMap(([name, value]) => ['--setenv', name, value]),
    ...['--chdir', workdir, '--', ...become, '/bin/sh', '-c', step.text],
  ]
  // Not the synchronous form: the test's worker has to answer meanwhile.
  await promisify(execFile)(BWRAP, bwrap, { timeout: 120_000 }).catch((error) => {
    throw new Error(`line ${step.line} of the Dockerfile: ${error.stdout}${error.stderr}`)
  })
}

/** By links: nothing writes to a package, but npm to the list of them. */
function takePackages(installed: string, target: string): void {
  const list = '.package-lock.json'
  execFileSync('cp', ['-a', '--link', installed, target])
  execFileSync('cp', ['--remove-destination', join(installed, list), join(target, list)])
  for (const cache of ['.cache', '.vite']) rmSync(join(target, cache), { recursive: true, force: true })
}

function secretMount({ line, flags }: Instruction, userconfig: string): string[] {
  const { mount, ...unknown } = flags
  if (Object.keys(unknown).length > 0)
    throw new Error(`line ${line}: no stand-in for ${Object.keys(unknown)}`)
  if (mount === undefined) return []
  const { type, target, id } = Object.fromEntries(mount.split(',').map((part) => part.split('=')))
  if (type !== 'secret' || id !== 'npmrc' || target === undefined)
    throw new Error(`line ${line}: no stand-in for ${mount}`)
  return existsSync(userconfig) ? ['--ro-bind', userconfig, target] : []
}

/** Reads the form of .dockerignore that ours has: nothing but what is named. */
export function readIgnoreFile(file: string): (path: string) => boolean {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  const [all, ...named] = lines
  if (all !== '*' || named.some((line) => !/^![\w.-]+$/.test(line))) {
    throw new Error('.dockerignore is not a `*` and names behind `!`')
  }
  return (path) => !named.includes(`!${path.split('/')[0]}`)
}

/** Every file below a folder, by path, with what changes when somebody writes to it. */
export function fingerprint(folder: string, skip: readonly string[], at = ''): Map<string, string> {
  const all = new Map<string, string>()
  for (const entry of readdirSync(join(folder, at), { withFileTypes: true })) {
    const path = `${at}/${entry.name}`
    if (skip.includes(path)) continue
    const { mode, uid, gid, size, mtimeMs, ctimeMs, nlink } = lstatSync(join(folder, path))
    all.set(path, [mode.toString(8), uid, gid, size, mtimeMs, ctimeMs, nlink].join(' '))
    if (entry.isDirectory())
      for (const [below, print] of fingerprint(folder, skip, path)) all.set(below, print)
  }
  return all
}
