// Which folders of this machine stand for the image's, and what inside sees of them.
import { chownSync, type Dirent, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { lchown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** The image's names (openshell.md section 8), as policies use them. */
export const IMAGE_HOME = '/sandbox'
export const IMAGE_WORKSPACE = '/sandbox/workspace'
export const IMAGE_CLAUDE_STATE = '/sandbox/.runner/claude'
export const IMAGE_APP = '/app'
/** Certificates, beside what any policy lists. */
export const INSIDE_TLS = '/run/agui-runner/tls'

export interface Places {
  readonly workspace: string
  readonly state: string
  /** CLAUDE_CONFIG_DIR. */
  readonly claudeState: string
  /** Private to this runner; inside it is also what /tmp and HOME are. */
  readonly temporary: string
  readonly home: string
  readonly tls: string
  readonly wrappers: string
  /** The executable itself, no link; undefined when there is none. */
  readonly claude: string | undefined
  /** Never to be seen inside, wherever they lie. */
  readonly hidden: readonly string[]
  /** Seen, never written. */
  readonly frozen: readonly string[]
}

/** Nobody's: it owns nothing outside. Used by a runner that is root where there is no user `sandbox`. */
const SPARE_ID = 64_998
const ENTRIES_MAX = 1_000_000

export interface Identity {
  uid: number
  gid: number
}

/** Whom Claude Code runs as: never root. `passwd` is the text of /etc/passwd. */
export function chooseIdentity(passwd: string): Identity {
  const uid = process.getuid?.() ?? SPARE_ID
  if (uid !== 0) return { uid, gid: process.getgid?.() ?? uid }
  const [, sandboxUid, sandboxGid] = /^sandbox:[^:]*:(\d+):(\d+):/m.exec(passwd) ?? []
  const ids = { uid: Number(sandboxUid ?? SPARE_ID), gid: Number(sandboxGid ?? SPARE_ID) }
  return ids.uid === 0 ? { uid: SPARE_ID, gid: SPARE_ID } : ids
}

/** Empty private folders, owned by whom Claude Code runs as. */
export function preparePlaces(places: Places, { uid, gid }: Identity): void {
  for (const folder of [places.temporary, places.home, places.tls]) {
    rmSync(folder, { recursive: true, force: true })
    // Certificates are no secret, and whom Claude Code runs as is not always their owner.
    mkdirSync(folder, { recursive: true, mode: folder === places.tls ? 0o755 : 0o700 })
  }
  mkdirSync(places.claudeState, { recursive: true, mode: 0o700 })
  if (process.getuid?.() !== 0) return
  for (const folder of [places.temporary, places.home]) chownSync(folder, uid, gid)
}

/**
 * Gives what root left in the workspace and in Claude Code's state to whom Claude Code runs as. Only while nothing
 * runs inside: a folder exchanged for a link in between would give away what the link names. What other users own
 * stays theirs, and so do hard links, whose other name may be anywhere.
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
    // It went, or the file system has no owners: then its modes decide.
  }
}

export function isFolder(path: string): boolean {
  return statOf(path)?.isDirectory() === true
}

/** Follows no link. */
export function statOf(path: string): ReturnType<typeof lstatSync> | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

export function isWithin(path: string, folder: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`)
}
