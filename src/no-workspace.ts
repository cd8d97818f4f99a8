import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/** Folders that cannot be the workspace, because the agent writes there. SYSTEM_TREES excludes subfolders as well. */
const SYSTEM = [
  '/',
  '/home',
  '/root',
  '/lost+found',
  '/media',
  '/mnt',
  '/opt',
  '/run',
  '/srv',
  '/tmp',
  '/var',
  '/var/tmp',
]
const SYSTEM_TREES = [
  '/bin',
  '/boot',
  '/dev',
  '/etc',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/sbin',
  '/sys',
  '/usr',
]

/**
 * Whether a path is unfit as the workspace, by its own name or by where its links lead. A folder below `/dev/shm` is
 * fit: it is memory, not a device.
 */
export function isNoWorkspace(path: string, home: string | undefined): boolean {
  const names = [path, realOf(path)]
  const homes = home === undefined ? [] : [resolve(home), realOf(home)]
  return names.some((name) => {
    const isOfTree = SYSTEM_TREES.some((tree) => name === tree || name.startsWith(`${tree}/`))
    const holdsHome = homes.some((one) => one === name || one.startsWith(`${name}/`))
    return SYSTEM.includes(name) || holdsHome || (isOfTree && !name.startsWith('/dev/shm/'))
  })
}

/** Resolves the links of the part of the path that exists. The rest is created later. */
function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(realOf(above), basename(path))
  }
}
