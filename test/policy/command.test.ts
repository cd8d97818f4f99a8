// `policy check` and `policy explain` as a person meets them: their output and their exit code, the first as a process of its own.
import { spawnSync } from 'node:child_process'
import { afterAll, expect, test } from 'vitest'
import { openCommandLines, type Said } from '../support/command-lines.ts'

const lines = openCommandLines()
afterAll(() => lines.close())

const policy = (...words: string[]): Promise<Said> => lines.run(['policy', ...words])

const BROKEN = 'test/fixtures/policy/broken'

test('check prints one line per problem and exits 1', () => {
  const words = ['dist/main.js', 'policy', 'check', `${BROKEN}/unsafe-paths.yaml`]
  expect(spawnSync(process.execPath, words, { encoding: 'utf8' })).toMatchObject({
    status: 1,
    stdout: [
      '3:15: path must be absolute: "usr/lib"',
      '3:24: path must not contain "..": "/etc/../root"',
      '3:24: warning: has no effect: "//" is read_write and the rules are a union',
      '5:7: "//" as read_write is too broad',
      '7:16: run_as_user must be sandbox or a number from 1 to 4294967294, not "root"',
      '8:17: run_as_group must be sandbox or a number from 1 to 4294967294, not "0"',
    ]
      .map((line) => `${BROKEN}/unsafe-paths.yaml:${line}\n`)
      .join(''),
    stderr: '',
  })
})

test('check of a good file exits 0, and without a file it checks ours', async () => {
  expect(await policy('check', 'policy.yaml')).toEqual({
    code: 0,
    stdout: 'policy.yaml: valid\n',
    stderr: '',
  })
  const { code, stdout } = await policy('check')
  expect([code, stdout]).toEqual([0, expect.stringMatching(/\/policy\.yaml: valid\n$/)])
})

test('check in file mode lets pass what that loader ignores; warnings do not fail', async () => {
  const { code, stdout } = await policy('check', '--file-mode', `${BROKEN}/unsafe-paths.yaml`)
  expect([code, stdout.split('\n')]).toEqual([
    0,
    [expect.stringMatching(/:3:24: warning: has no effect/), `${BROKEN}/unsafe-paths.yaml: valid`, ''],
  ])
})

test('check for a release of OpenShell says what that one refuses', async () => {
  const file = `${BROKEN}/hosts-and-rules.yaml`
  expect((await policy('check', '--openshell', 'v0.1.5', file)).stdout.split('\n')).toContain(
    `${file}:29:22: "block" means audit; only enforce blocks; OpenShell 0.1.0 and newer refuse it`,
  )
  const { code, stderr } = await policy('check', '--openshell', 'latest', file)
  expect([code, stderr]).toEqual([2, expect.stringContaining('A version is 0.0.83, v0.1.5 or 0.1.')])
})

test('check --json is one object', async () => {
  const { code, stdout } = await policy('check', '--json', `${BROKEN}/ambiguous.yaml`)
  const report: unknown = JSON.parse(stdout)
  expect([code, report]).toEqual([
    1,
    {
      file: `${BROKEN}/ambiguous.yaml`,
      mode: 'typed',
      valid: false,
      problems: [
        expect.objectContaining({ line: 7, column: 23, severity: 'warning' }),
        expect.objectContaining({ line: 12, column: 9, severity: 'error' }),
        expect.objectContaining({ line: 15, column: 9, severity: 'error' }),
      ],
    },
  ])
})

test.each([
  ['none.yaml', 'ENOENT'],
  ['test', 'EISDIR'],
])('check of %s says why it cannot be read', async (file, reason) => {
  const { code, stdout, stderr } = await policy('check', file)
  expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining(`cannot read ${file}: ${reason}`)])
})

test.each([
  [
    ['--host', 'api.github.com', '--port', '443'],
    0,
    'allow\nrule: github_api\nstage: l4\nreason: api.github.com:443 is allowed for any binary (the binary is not known: any that the rule lists counts)\n',
  ],
  [
    [
      '--host',
      'github.com',
      '--port',
      '443',
      '--binary',
      '/bin/x',
      '--ancestor',
      '/bin/sh',
      '--ancestor',
      '/usr/bin/git',
      '--method',
      'GET',
      '--path',
      '/o/r/info/refs?service=git-upload-pack',
    ],
    0,
    'allow\nrule: github_git\nstage: l7\nreason: GET /o/r/info/refs is permitted\n',
  ],
  [
    ['--host', 'github.com', '--port', '443', '--ip', '140.82.112.3', '--ip', '127.0.0.1'],
    3,
    'deny\nrule: github_git\nstage: ssrf\nreason: github.com resolves to 127.0.0.1, which is loopback, link-local or unspecified (the binary is not known: any that the rule lists counts)\n',
  ],
  [
    ['--host', 'example.com', '--port', '443'],
    3,
    'deny\nrule: none\nstage: l4\nreason: example.com:443 is not allowed by any rule\n',
  ],
  [['--file', '/app/x', '--op', 'write'], 3, 'deny\nrule: /app\nstage: file\nreason: /app/x is read-only\n'],
  [
    ['--file', '/usr/local/bin/node', '--op', 'exec', '--json'],
    0,
    '{"verdict":"allow","stage":"file","rule":"/usr","reason":"/usr/local/bin/node is below /usr (read_only)"}\n',
  ],
])('explain %j exits %i', async (args, code, stdout) => {
  expect(await policy('explain', '--policy', 'policy.yaml', ...args)).toEqual({ code, stdout, stderr: '' })
})

test('explain of what is only audited exits 0', async () => {
  const file = 'test/fixtures/policy/audit.yaml'
  const { code, stdout } = await policy(
    'explain',
    '--policy',
    file,
    '--host',
    'a.example.com',
    '--port',
    '443',
    '--method',
    'POST',
  )
  expect([code, stdout]).toEqual([
    0,
    'audit\nrule: reader\nstage: l7\nreason: POST / is not permitted, but enforcement is audit (the binary is not known: any that the rule lists counts)\n',
  ])
})

test('explain refuses to judge by a policy OpenShell would replace', async () => {
  const file = `${BROKEN}/wrong-types.yaml`
  const { code, stdout, stderr } = await policy('explain', '--policy', file, '--host', 'a', '--port', '1')
  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toContain(`would refuse the policy:\n${file}:1:10: version must be`)
})

test.each([
  [['explain'], 'give --host and --port, or --file and --op'],
  [['explain', '--host', 'a'], 'give --host and --port'],
  [['explain', '--host', 'a', '--port', '0'], 'from 1 to 65535'],
  [['explain', '--host', 'a', '--port', '99999'], 'from 1 to 65535'],
  [['explain', '--host', 'a', '--port', '1', '--path', '/'], '--path needs --method'],
  [['explain', '--host', 'a', '--port', '1', '--ancestor', '/x'], '--ancestor needs --binary'],
  [['explain', '--file', '/x'], '--file needs --op'],
  [['explain', '--file', 'x', '--op', 'read'], 'absolute path'],
  [['explain', '--file', '/x', '--op', 'delete'], 'Allowed choices are read, write, exec'],
  [['explain', '--file', '/x', '--op', 'read', '--host', 'a'], 'either --file or --host'],
  [['check', '--bogus'], "unknown option '--bogus'"],
])('%j is wrong usage: exit 2, nothing on stdout', async (args, message) => {
  const { code, stdout, stderr } = await policy(...args)
  expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(message)])
})

test('--help explains itself', async () => {
  const { code, stdout } = await policy('explain', '--help')
  expect(code).toBe(0)
  for (const option of ['--policy', '--host', '--ancestor', '--ip', '--op', '--json'])
    expect(stdout).toContain(option)
})
