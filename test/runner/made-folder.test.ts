import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { makeFolder } from '../../src/runner/made-folder.ts'

const directory = mkdtempSync(join(tmpdir(), 'agui-made-folder-test-'))
afterAll(() => rmSync(directory, { recursive: true }))
mkdirSync(join(directory, 'there'))
writeFileSync(join(directory, 'file'), '')
symlinkSync('nowhere', join(directory, 'dangling'))
symlinkSync('circle', join(directory, 'circle'))

test.each(['there', 'new/below', 'there/'])('%s is a folder then', async (path) => {
  await makeFolder('RUNNER_STATE_DIR', join(directory, path))
  writeFileSync(join(directory, path, 'written'), '')
})

test.each(['file', 'file/below', 'dangling', 'dangling/below', 'circle'])(
  '%s is refused by the name of its variable',
  async (path) => {
    await expect(makeFolder('WORKSPACE_PATH', join(directory, path))).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/^WORKSPACE_PATH: no folder can be made there \(.*\); give another\.$/),
    })
  },
)
