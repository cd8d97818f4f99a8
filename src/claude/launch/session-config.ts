import { mkdir, open, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { toMessage } from '../../errors.ts'

/** The folder that `SESSION_CONFIG_PATH` names. The control plane mounts it beside the workspace. */
export interface SessionConfig {
  directory: string
  /** Text of its CLAUDE.md; undefined when that is absent or empty. */
  instructions: string | undefined
  /** Folder of a plugin that contains its skills and nothing else; undefined when it has no skills. */
  plugin: string | undefined
}

const CLAUDE_MD_BYTES_MAX = 256 * 1024
/** Name of the plugin. A skill is called by this name and its own. */
const PLUGIN_NAME = 'session-config'

/**
 * Opens the session configuration.
 *
 * @param pluginDirectory where the plugin is created anew; Claude Code must be able to read it.
 * @returns the problem when the folder cannot be used: a control plane also names a folder that it does not fill.
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
 * Makes a plugin of the skills alone. Claude Code loads a folder's skills only together with the settings of the
 * workspace, which can start programs. The plugin leaves out those settings and the folder's own hooks.
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
