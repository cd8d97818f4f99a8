// A machine without bubblewrap: this one, with nothing to start in the program's place.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { shortfallOf, uniformReport } from '../../src/sandbox/report.ts'
import { missingNeed } from './needs.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const WITHOUT = 'for each in /usr/bin/bwrap /bin/bwrap; do mount --bind /dev/null $each; done; exec "$@"'
const isRoot = process.getuid?.() === 0
const reason = isRoot ? missingNeed() : 'only root can hide a program'

test('what holds has no shortfall, and what is off says by what', () => {
  expect(shortfallOf(uniformReport('openshell', { state: 'enforced', how: 'it' }))).toBeUndefined()
  const off = uniformReport('none', { state: 'not_enforced', how: 'none', why: 'POLICY_ENFORCEMENT=off' })
  expect(shortfallOf(off)).toBe('Policy not enforced: POLICY_ENFORCEMENT=off')
})

describe.skipIf(reason !== undefined)(`without bubblewrap (${reason ?? 'hidden'})`, () => {
  test('one line says what to install, in the log and to doctor', () => {
    const directory = mkdtempSync(join(tmpdir(), 'agui-no-bwrap-'))
    const workspace = join(directory, 'workspace')
    mkdirSync(workspace)
    const env = {
      PATH: process.env['PATH'],
      HOME: directory,
      WORKSPACE_PATH: workspace,
      RUNNER_STATE_DIR: directory,
    }
    const words = ['--mount', 'sh', '-c', WITHOUT, 'sh', process.execPath, MAIN, 'doctor', '--json']
    const { stdout, stderr } = spawnSync('unshare', words, { env, encoding: 'utf8' })
    rmSync(directory, { recursive: true, force: true })
    const line = 'Policy not enforced: install bubblewrap'
    expect(`${stdout}${stderr}`).toContain(`"name":"enforcement","ok":true,"says":"${line}"`)
  })
})
