// The wrappers and the entrypoint in a tree like the image's, at the paths they have there: a read-only root, the
// arbitrary user of an OpenShift pod without a passwd entry, nothing writable but /sandbox and /tmp.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Finished, readPairs, run, WRAPPERS } from './shell-run.ts'

const BWRAP = '/usr/bin/bwrap'
const canRun = spawnSync(BWRAP, ['--unshare-user', '--ro-bind', '/', '/', '/bin/true']).status === 0
// A skip is a failure in CI: there it runs, and says by failing that bubblewrap is missing.
const skipped = !canRun && process.env['CI'] !== 'true'

const INFERENCE = 'https://inference.local'
const SERVER = `
const { HOME, WORKSPACE_PATH, RUNNER_STATE_DIR } = process.env
console.log(JSON.stringify({ file: process.argv[1], argv: process.argv.slice(2), uid: process.getuid(), HOME, WORKSPACE_PATH, RUNNER_STATE_DIR }))
`

let image = ''

beforeEach(() => {
  image = mkdtempSync(join(tmpdir(), 'agui image '))
  for (const folder of ['app/bin', 'app/dist', 'runner', 'sandbox', 'tls', 'local', 'tmp']) {
    mkdirSync(join(image, folder), { recursive: true })
  }
  cpSync(WRAPPERS, join(image, 'app/wrappers'), { recursive: true })
  cpSync('entrypoint.sh', join(image, 'runner/entrypoint.sh'))
  cpSync(join(WRAPPERS, 'openshell-claude-wrapper.sh'), join(image, 'local/claude'))
  writeFileSync(join(image, 'app/dist/main.js'), SERVER)
  writeFileSync(join(image, 'app/bin/claude'), '#!/bin/sh\nexec env -0\n')
  chmodSync(join(image, 'app/bin/claude'), 0o755)
  writeFileSync(
    join(image, 'resolv.conf'),
    'nameserver 10.0.0.10\nsearch a.svc b\noptions ndots:5 timeout:50\n',
  )
})

afterEach(() => {
  rmSync(image, { recursive: true, force: true })
})

interface Inside {
  env?: Readonly<Record<string, string>>
  /** Binds the resolver's file writable. */
  mayFix?: boolean
}

function inside(command: readonly string[], { env = {}, mayFix = false }: Inside = {}): Finished {
  const system = ['/usr', '/bin', '/sbin', '/lib', '/lib64'].filter((path) => existsSync(path))
  return run(
    [
      BWRAP,
      '--unshare-all',
      ...['--uid', '1000650000', '--gid', '0'],
      ...system.flatMap((path) => ['--ro-bind', path, path]),
      ...['--ro-bind', dirname(process.execPath), '/opt/node'],
      ...['--proc', '/proc', '--dev', '/dev'],
      ...['--ro-bind', join(image, 'app'), '/app'],
      ...['--ro-bind', join(image, 'runner'), '/runner'],
      ...['--ro-bind', join(image, 'local'), '/local'],
      ...['--ro-bind', join(image, 'tls'), '/etc/openshell-tls'],
      ...[mayFix ? '--bind' : '--ro-bind', join(image, 'resolv.conf'), '/etc/resolv.conf'],
      ...['--bind', join(image, 'sandbox'), '/sandbox'],
      ...['--bind', join(image, 'tmp'), '/tmp'],
      ...['--remount-ro', '/', '--chdir', '/', '--'],
      ...command,
    ],
    { env: { PATH: '/local:/opt/node:/usr/bin:/bin', ...env } },
  )
}

describe.skipIf(skipped)('in the image (skipped only where bubblewrap cannot run)', () => {
  test.each([undefined, '/', '/root'])(
    'the entrypoint starts the server with HOME=%s made usable',
    (home) => {
      const done = inside(['/runner/entrypoint.sh'], { env: home === undefined ? {} : { HOME: home } })
      expect(done).toMatchObject({ code: 0, stderr: '' })
      expect(JSON.parse(done.stdout)).toEqual({
        file: '/app/dist/main.js',
        argv: ['serve'],
        uid: 1000650000,
        HOME: '/sandbox',
        WORKSPACE_PATH: '/sandbox/workspace',
        RUNNER_STATE_DIR: '/sandbox/.runner',
      })
    },
  )

  test('the entrypoint keeps a HOME that can be written', () => {
    const done = inside(['/runner/entrypoint.sh'], { env: { HOME: '/tmp' } })
    expect(JSON.parse(done.stdout)).toMatchObject({ HOME: '/tmp' })
  })

  test('the entrypoint sets ndots to 1 where it may, and nothing else', () => {
    expect(inside(['/runner/entrypoint.sh'], { mayFix: true })).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(join(image, 'resolv.conf'), 'utf8')).toBe(
      'nameserver 10.0.0.10\nsearch a.svc b\noptions ndots:1 timeout:50\n',
    )
  })

  test.each([
    ['options ndots:50\n', 'options ndots:1\n'],
    ['options timeout:5 ndots:2\n', 'options timeout:5 ndots:1\n'],
    ['options ndots:05 rotate\n', 'options ndots:1 rotate\n'],
    ['options\tndots:15 ndots:5\n', 'options\tndots:1 ndots:1\n'],
  ])('the entrypoint makes %j %j', (text, fixed) => {
    writeFileSync(join(image, 'resolv.conf'), text)
    expect(inside(['/runner/entrypoint.sh'], { mayFix: true }).code).toBe(0)
    expect(readFileSync(join(image, 'resolv.conf'), 'utf8')).toBe(fixed)
  })

  test.each(['options ndots:1\n', 'options ndots:0\n', '# ndots:5\n', 'nameserver 10.0.0.10\n', ''])(
    'the entrypoint leaves %j alone',
    (text) => {
      writeFileSync(join(image, 'resolv.conf'), text)
      expect(inside(['/runner/entrypoint.sh'], { mayFix: true }).code).toBe(0)
      expect(readFileSync(join(image, 'resolv.conf'), 'utf8')).toBe(text)
    },
  )

  test('the entrypoint is quiet where it may not', () => {
    expect(inside(['/runner/entrypoint.sh'])).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(join(image, 'resolv.conf'), 'utf8')).toContain('ndots:5')
  })

  test('claude, a copy of the wrapper in PATH, finds the gateway by the CA at its place', () => {
    writeFileSync(join(image, 'tls/openshell-ca.pem'), '')
    writeFileSync(join(image, 'tls/ca-bundle.pem'), '')
    const done = inside(['/bin/sh', '-c', 'claude'])
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(readPairs(done.stdout)).toMatchObject({
      ANTHROPIC_BASE_URL: INFERENCE,
      HOME: '/sandbox',
      NODE_EXTRA_CA_CERTS: '/etc/openshell-tls/openshell-ca.pem',
      SSL_CERT_FILE: '/etc/openshell-tls/ca-bundle.pem',
    })
    expect(readFileSync(join(image, 'sandbox/.claude.json'), 'utf8')).toBe(
      '{"hasCompletedOnboarding":true}\n',
    )
    expect(readdirSync(join(image, 'tmp'))).toEqual([])
  })

  test('claude finds the CA of the sidecar topology', () => {
    mkdirSync(join(image, 'tls/proxy'))
    writeFileSync(join(image, 'tls/proxy/openshell-ca.pem'), '')
    writeFileSync(join(image, 'tls/proxy/ca-bundle.pem'), '')
    expect(readPairs(inside(['/bin/sh', '-c', 'claude']).stdout)).toMatchObject({
      ANTHROPIC_BASE_URL: INFERENCE,
      NODE_EXTRA_CA_CERTS: '/etc/openshell-tls/proxy/openshell-ca.pem',
      SSL_CERT_FILE: '/etc/openshell-tls/proxy/ca-bundle.pem',
    })
  })

  test('claude names the place where a CA is missing', () => {
    const done = inside(['/bin/sh', '-c', 'claude'], { env: { ACP_OPENSHELL_INFERENCE: '1' } })
    expect(readPairs(done.stdout)).toMatchObject({
      NODE_EXTRA_CA_CERTS: '/etc/openshell-tls/openshell-ca.pem',
    })
  })

  test('claude without a route, and where HOME cannot be written, still starts', () => {
    const done = inside(['/bin/sh', '-c', 'claude'], { env: { HOME: '/app' } })
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(readPairs(done.stdout)).not.toHaveProperty('ANTHROPIC_BASE_URL')
    expect(readdirSync(join(image, 'app'))).not.toContain('.claude.json')
  })
})
