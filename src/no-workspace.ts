import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/** Not these, and for the second ones nothing below them either: the agent writes where it works. */
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

/** By its own name and by where that leads. `/dev/shm` is memory, not a device. */
export function isNoWorkspace(path: string, home: string | undefined): boolean {
  const names = [path, realOf(path)]
  const homes = home === undefined ? [] : [resolve(home), realOf(home)]
  return names.some((name) => {
    const isOfTree = SYSTEM_TREES.some((tree) => name === tree || name.startsWith(`${tree}/`))
    const holdsHome = homes.some((one) => one === name || one.startsWith(`${name}/`))
    return SYSTEM.includes(name) || holdsHome || (isOfTree && !name.startsWith('/dev/shm/'))
  })
}

/** Of what is there of it: the rest is made later. */
function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(realOf(above), basename(path))
  }
}
