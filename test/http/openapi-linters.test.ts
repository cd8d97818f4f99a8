// The document under the linters of the field. They are heavy (some 900 packages) and no part of the product, so they are
// fetched by npx where a variable asks for them, and are no dependencies.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openScriptedRunner } from '../support/scripted-runner.ts'

const LINT_MS_MAX = 300_000
/** Both say the paths and lines of what they find on stdout, and end with a code that is not 0. */
const LINTERS: readonly (readonly [name: string, ...words: string[]])[] = [
  ['@redocly/cli@2.77.0', 'redocly', 'lint', '--extends=recommended', 'openapi.json'],
  ['@stoplight/spectral-cli@6.16.3', 'spectral', 'lint', '--fail-severity=warn', 'openapi.json'],
]

describe.runIf(process.env['AGUI_LINTERS'] === '1')('AGUI_LINTERS=1', () => {
  let directory: string

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'agui-openapi-'))
    const runner = await openScriptedRunner({ script: { rules: [] } })
    writeFileSync(join(directory, 'openapi.json'), await (await fetch(`${runner.url}/openapi.json`)).text())
    // A WebSocket is answered with 101, which Spectral takes for no success.
    const rules = { 'operation-success-response': 'off' }
    writeFileSync(join(directory, '.spectral.json'), JSON.stringify({ extends: ['spectral:oas'], rules }))
    await runner.close()
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test.each(LINTERS)(
    '%s finds nothing',
    async (name, ...words) => {
      const run = promisify(execFile)('npx', ['--yes', `--package=${name}`, '--', ...words], {
        cwd: directory,
        timeout: LINT_MS_MAX,
      })
      const found = await run.then(
        () => '',
        (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
      )
      expect(found).toBe('')
    },
    LINT_MS_MAX,
  )
})
