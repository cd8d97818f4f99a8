// Maps folders of this machine to the image's, and prepares them for the processes inside.
import { randomUUID } from 'node:crypto'
import { chownSync, type Dirent, lstatSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { lchown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** The image's names (openshell.md section 8), as policies use them. */
export const IMAGE_HOME = '/sandbox'
export const IMAGE_WORKSPACE = '/sandbox/workspace'
export const IMAGE_CLAUDE_STATE = '/sandbox/.runner/claude'
export const IMAGE_APP = '/app'
/** Folder of the certificates inside, mounted whatever the policy lists. */
export const INSIDE_TLS = '/run/agui-runner/tls'

export interface Places {
  readonly workspace: string
  readonly state: string
  /** Value of CLAUDE_CONFIG_DIR. */
  readonly claudeState: string
  /** Temporary folder of this runner alone; inside it is TMPDIR, and /tmp where the policy lists that. */
  readonly temporary: string
  readonly home: string
  readonly tls: string
  readonly wrappers: string
  /** Real path of Claude Code's executable; undefined when there is none. */
  readonly claude: string | undefined
  /** Paths that are never visible inside, wherever they lie. */
  readonly hidden: readonly string[]
  /** Paths that are visible inside but never writable. */
  readonly frozen: readonly string[]
}

/** Uid and gid that own nothing outside. A runner that is root uses them where there is no user `sandbox`. */
const SPARE_ID = 64_998
const ENTRIES_MAX = 1_000_000

export interface Identity {
  uid: number
  gid: number
}

/**
 * Chooses the user that Claude Code runs as, never root. A runner that is root takes the workspace's owner, so that new
 * files there are that user's. For root's own workspace it takes the user `sandbox`, to whom the workspace is shown as
 * its own. `passwd` is the text of /etc/passwd.
 */
export function chooseIdentity(passwd: string, workspace: string): Identity {
  const uid = process.getuid?.() ?? SPARE_ID
  if (uid !== 0) return { uid, gid: process.getgid?.() ?? uid }
  const owner = statSync(workspace)
  if (owner.uid !== 0) {
    const [, ownGid] = new RegExp(`^[^:]*:[^:]*:${owner.uid}:(\\d+):`, 'm').exec(passwd) ?? []
    const gid = Number(ownGid ?? owner.gid)
    return { uid: owner.uid, gid: gid === 0 ? owner.uid : gid }
  }
  const [, sandboxUid, sandboxGid] = /^sandbox:[^:]*:(\d+):(\d+):/m.exec(passwd) ?? []
  const ids = { uid: Number(sandboxUid ?? SPARE_ID), gid: Number(sandboxGid ?? SPARE_ID) }
  return ids.uid === 0 || ids.gid === 0 ? { uid: SPARE_ID, gid: SPARE_ID } : ids
}

/** Returns the folders owned by root that a runner that is root shows inside as the other user's. */
export function foldersOfRoot(folders: readonly string[]): string[] {
  if (process.getuid?.() !== 0) return []
  return folders.filter((folder) => statOf(folder)?.uid === 0)
}

/**
 * Prepares the private folders for Claude Code's user: the home as it was left, the others empty. Leftovers in them
 * must not make this fail, or the next process would have no sandbox.
 */
export function preparePlaces(places: Places, { uid, gid }: Identity): void {
  clear(places.temporary)
  clear(places.tls)
  const home = statOf(places.home)
  if (home !== undefined && (home.uid !== uid || !home.isDirectory())) clear(places.home)
  for (const folder of [places.temporary, places.home]) mkdirSync(folder, { recursive: true, mode: 0o700 })
  // Certificates are no secret, and Claude Code's user does not always own them.
  mkdirSync(places.tls, { recursive: true, mode: 0o755 })
  mkdirSync(places.claudeState, { recursive: true, mode: 0o700 })
  if (process.getuid?.() !== 0) return
  for (const folder of [places.temporary, places.home]) chownSync(folder, uid, gid)
}

/** Removes a folder. It is renamed first: a folder without permissions can be renamed, but not emptied. */
function clear(folder: string): void {
  const old = `${folder}.old`
  try {
    rmSync(old, { recursive: true, force: true })
  } catch {
    // Tried again at the next start.
  }
  if (statOf(folder) === undefined) return
  const left = statOf(old) === undefined ? old : `${old}-${randomUUID()}`
  renameSync(folder, left)
  try {
    rmSync(left, { recursive: true, force: true })
  } catch {
    // As above.
  }
}

/**
 * Gives files that root left in Claude Code's state, a folder of the runner's own, to Claude Code's user. Call only
 * while nothing runs inside: a folder exchanged for a link meanwhile would give away the link's target. Files of other
 * users keep their owner, and so do hard links, whose other name may be anywhere.
 */
export async function handOver(root: string, identity: Identity): Promise<void> {
  if (process.getuid?.() !== 0) return
  const folders = [root]
  await give(root, identity)
  for (let count = 0; ; ) {
    const folder = folders.pop()
    if (folder === undefined) return
    const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => [])
    count += entries.length
    if (count > ENTRIES_MAX) return
    await Promise.all(entries.map((entry) => give(join(folder, entry.name), identity)))
    folders.push(...entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name)))
  }
}

async function give(path: string, { uid, gid }: Identity): Promise<void> {
  try {
    const stat = await lstat(path)
    if (stat.uid !== 0 || (!stat.isDirectory() && stat.nlink > 1)) return
    await lchown(path, uid, gid)
  } catch {
    // It has been removed, or the file system has no owners; then the modes decide.
  }
}

export function isFolder(path: string): boolean {
  return statOf(path)?.isDirectory() === true
}

/** Returns the status of `path`, links not followed; undefined when nothing exists there. */
export function statOf(path: string): ReturnType<typeof lstatSync> | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

export function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`)
}
