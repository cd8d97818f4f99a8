import { randomUUID } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RunnerError, toMessage } from '../../errors.ts'

/**
 * Tries to write in the folders that Claude Code and its tools write to: HOME and CLAUDE_CONFIG_DIR. Claude Code shows
 * an unwritable HOME only as a hang or as tools that fail (openshell.md 5.4).
 *
 * @throws {RunnerError} `home_not_writable` with the folder's name.
 */
export async function probeHome(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  for (const name of ['HOME', 'CLAUDE_CONFIG_DIR']) {
    const folder = env[name]
    if (folder === undefined) continue
    const probe = join(folder, `.agui-runner-${randomUUID()}`)
    try {
      if (name === 'CLAUDE_CONFIG_DIR') await mkdir(folder, { recursive: true, mode: 0o700 })
      await (await open(probe, 'wx', 0o600)).close()
      await rm(probe)
    } catch (error) {
      const message = `${name} (${folder}) cannot be written: ${toMessage(error)}. Point ${name} at a folder that can.`
      throw new RunnerError('home_not_writable', message, { cause: error })
    }
  }
}
