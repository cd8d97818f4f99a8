import { mkdir, open, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { toMessage } from '../../errors.ts'

/** What `SESSION_CONFIG_PATH` names: a folder that the control plane mounts beside the workspace. */
export interface SessionConfig {
  directory: string
  /** Its CLAUDE.md. */
  instructions: string | undefined
  /** A plugin of its skills, and of nothing else in it; undefined when there are none. */
  plugin: string | undefined
}

const CLAUDE_MD_BYTES_MAX = 256 * 1024
/** Its skills are called by this name and theirs. */
const PLUGIN_NAME = 'session-config'

/**
 * @param pluginDirectory where the plugin is made anew; Claude Code must be able to read it.
 * @returns why it is not used, when it cannot be: a control plane names it also when it has nothing to put there.
 */
export async function openSessionConfig(
  path: string,
  pluginDirectory: string,
): Promise<SessionConfig | { problem: string }> {
  if (!isAbsolute(path)) return { problem: 'it must be an absolute path' }
  try {
    if (!(await stat(path)).isDirectory()) return { problem: 'it is not a folder' }
    return {
      directory: path,
      instructions: await readIfThere(join(path, 'CLAUDE.md')),
      plugin: await makePlugin(join(path, '.claude', 'skills'), pluginDirectory),
    }
  } catch (error) {
    return { problem: toMessage(error) }
  }
}

/**
 * Claude Code loads a folder's skills only together with the settings of the workspace, which can start programs. A
 * plugin of the skills alone leaves both those and the folder's own hooks out.
 */
async function makePlugin(skills: string, pluginDirectory: string): Promise<string | undefined> {
  const isThere = await stat(skills).then(
    (found) => found.isDirectory(),
    () => false,
  )
  await rm(pluginDirectory, { recursive: true, force: true })
  if (!isThere) return undefined
  const manifest = { name: PLUGIN_NAME, version: '1.0.0', description: 'Skills of the session configuration' }
  await mkdir(join(pluginDirectory, '.claude-plugin'), { recursive: true })
  await writeFile(join(pluginDirectory, '.claude-plugin', 'plugin.json'), JSON.stringify(manifest))
  await symlink(skills, join(pluginDirectory, 'skills'))
  return pluginDirectory
}

async function readIfThere(path: string): Promise<string | undefined> {
  const handle = await open(path).catch(() => undefined)
  if (handle === undefined) return undefined
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) return undefined
    if (stats.size > CLAUDE_MD_BYTES_MAX) {
      throw new TypeError(`its CLAUDE.md is larger than ${CLAUDE_MD_BYTES_MAX} bytes`)
    }
    const text = (await readFile(handle, 'utf8')).trim()
    return text === '' ? undefined : text
  } finally {
    await handle.close()
  }
}
