// Keeps names below a folder from being written inside: each becomes a read-only mount of its own.
import {
  chownSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { hasErrno } from '../../errno.ts'
import type { Mount } from './mount-view.ts'
import { type Identity, isWithin } from './places.ts'

export type Shape = 'absent' | 'folder' | 'file' | 'link' | 'other' | 'unreadable'

/** Returns the kind of what stands at `path`. Follows no link and never throws. */
export function shapeOf(path: string): Shape {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return 'absent'
    if (stat.isDirectory()) return 'folder'
    if (stat.isFile()) return 'file'
    return stat.isSymbolicLink() ? 'link' : 'other'
  } catch (error) {
    // A parent is not a folder, so the name cannot exist.
    return hasErrno(error, 'ENOTDIR', 'ELOOP') ? 'absent' : 'unreadable'
  }
}

/** Returns a link's target as written; undefined for anything else. */
export function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    // It is not a link, or does not exist.
    return undefined
  }
}

/** Returns the path with every link followed; undefined when it leads nowhere. */
export function realOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    return realpathSync(path)
  } catch {
    // The path leads nowhere.
    return undefined
  }
}

/** Returns the folders between `root` and `path`, the outermost first; undefined when one of them is not a folder. */
function foldersAbove(path: string, root: string): string[] | undefined {
  const above: string[] = []
  for (let folder = dirname(path); folder !== root; folder = dirname(folder)) {
    if (!isWithin(folder, root) || shapeOf(folder) !== 'folder') return undefined
    above.unshift(folder)
  }
  return above
}

function canPass(folder: string, reader: Identity | undefined): boolean {
  const stat = lstatSync(folder, { throwIfNoEntry: false })
  if (stat === undefined || reader === undefined || stat.uid === reader.uid) return stat !== undefined
  return (stat.mode & (stat.gid === reader.gid ? 0o010 : 0o001)) !== 0
}

/**
 * Collects the mounts of one start. A mount keeps its own name from being renamed or removed, but not the names of the
 * folders above it, so those folders become mounts too.
 */
export class Freeze {
  readonly #mounts = new Map<string, Mount>()
  readonly #held: string[] = []
  readonly #roots: string[]
  readonly #placeholders: Placeholders

  readonly #reader: Identity | undefined

  constructor(root: string, placeholders: Placeholders, reader: Identity | undefined) {
    this.#roots = [root]
    this.#placeholders = placeholders
    this.#reader = reader
  }

  get mounts(): Mount[] {
    const depth = ({ target }: Mount): number => target.split('/').length
    return [...this.#mounts.values()].sort((left, right) => depth(left) - depth(right))
  }

  /** The roots that `addRoot` has added. */
  get outerRoots(): readonly string[] {
    return this.#roots.slice(1)
  }

  get count(): number {
    return this.#mounts.size
  }

  /** Mounts a folder outside the workspace as well, such as a worktree's repository. */
  addRoot(path: string, kind: 'read' | 'write'): void {
    this.#roots.push(path)
    this.#mounts.set(path, { kind, source: path, target: path })
  }

  isInside(path: string): boolean {
    return this.#roots.some((root) => path !== root && isWithin(path, root))
  }

  has(path: string): boolean {
    return this.#mounts.has(path)
  }

  /** Makes `path` writable inside a frozen folder. */
  thaw(path: string): void {
    this.#mounts.set(path, { kind: 'write', source: path, target: path })
  }

  /** Makes a path above the roots read-only. Its parents are not pinned: renaming them already allows worse. */
  freezeAbove(path: string): void {
    this.#mounts.set(path, { kind: 'read', source: path, target: path })
  }

  /** Makes `path` read-only with all below it. Returns false when it cannot be a mount point, for example a link. */
  freeze(path: string): boolean {
    const shape = shapeOf(path)
    if (shape === 'absent' || shape === 'link' || shape === 'unreadable') return false
    return this.#add(path)
  }

  /** Freezes `path` as `freeze` does. Where nothing exists, a meaningless placeholder is made until `release`. */
  freezeOrFill(path: string, filling: Filling): boolean {
    if (!this.isInside(path)) return false
    // When the parent does not exist either, the parent gets the placeholder.
    const above = dirname(path)
    if (shapeOf(above) === 'absent') return this.freezeOrFill(above, { folder: true })
    const isFilled = this.#placeholders.take(path, filling)
    if (isFilled) this.#held.push(path)
    return this.freeze(path)
  }

  /** Releases the placeholders of this start. Safe to call twice. */
  release(): void {
    for (const path of this.#held.splice(0)) this.#placeholders.release(path)
  }

  #add(path: string): boolean {
    const root = this.#roots.find((one) => path !== one && isWithin(path, one))
    const above = root === undefined ? undefined : foldersAbove(path, root)
    // Where the reader cannot go, nothing can be mounted for it, and nothing needs to be.
    if (above === undefined || !above.every((folder) => canPass(folder, this.#reader))) return false
    const pins: string[] = []
    for (const folder of above.reverse()) {
      const mount = this.#mounts.get(folder)
      // A path in a frozen folder is frozen already; pins there would make it writable.
      if (mount?.kind === 'read') return true
      if (mount !== undefined) break
      pins.push(folder)
    }
    for (const inner of [...this.#mounts.keys()]) {
      if (inner !== path && isWithin(inner, path)) this.#mounts.delete(inner)
    }
    this.#mounts.set(path, { kind: 'read', source: path, target: path })
    for (const folder of pins) this.#mounts.set(folder, { kind: 'write', source: folder, target: folder })
    return true
  }
}

export type Filling = { folder: true } | { text: string }

/** Files and folders that stand where nothing may be made. Starts share them; the last `release` removes them. */
export class Placeholders {
  readonly #counts = new Map<string, number>()
  readonly #fillings = new Map<string, Filling>()
  readonly #onMaking: ((path: string, filling: Filling) => void) | undefined

  /** @param onMaking Called before each that is made, not for one that is shared or found. */
  constructor(onMaking?: (path: string, filling: Filling) => void) {
    this.#onMaking = onMaking
  }

  /** Makes or shares the placeholder at `path`; returns false when something else stands there. */
  take(path: string, filling: Filling): boolean {
    if (!this.#counts.has(path)) {
      if (shapeOf(path) === 'absent') this.#onMaking?.(path, filling)
      if (!make(path, filling) && !isLeftOver(path, filling)) return false
    }
    this.#counts.set(path, (this.#counts.get(path) ?? 0) + 1)
    this.#fillings.set(path, filling)
    return true
  }

  release(path: string): void {
    const count = (this.#counts.get(path) ?? 0) - 1
    const filling = this.#fillings.get(path)
    if (count > 0) {
      this.#counts.set(path, count)
      return
    }
    this.#counts.delete(path)
    this.#fillings.delete(path)
    if (filling !== undefined) removeUnchanged(path, filling)
  }
}

/** Creates a placeholder with the owner of its folder; returns whether that was possible. */
function make(path: string, filling: Filling): boolean {
  try {
    const owner = lstatSync(dirname(path))
    if ('folder' in filling) mkdirSync(path, { mode: 0o755 })
    else {
      const descriptor = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644)
      try {
        writeSync(descriptor, filling.text)
      } finally {
        closeSync(descriptor)
      }
    }
    if (process.getuid?.() === 0) chownSync(path, owner.uid, owner.gid)
    return true
  } catch {
    // Something exists there, or nothing can be made there; then nothing can be made from inside either.
    return false
  }
}

/** Decides whether a killed runner left this placeholder. An empty file or folder could be anybody's. */
function isLeftOver(path: string, filling: Filling): boolean {
  return 'text' in filling && filling.text !== '' && isUnchanged(path, filling)
}

function isUnchanged(path: string, filling: Filling): boolean {
  if ('folder' in filling) return true
  if (shapeOf(path) !== 'file') return false
  try {
    const { size } = lstatSync(path)
    // A process that was killed may have made it and not written it yet.
    return size === 0 || (size === filling.text.length && readFileSync(path, 'utf8') === filling.text)
  } catch {
    // It has been removed or cannot be read, so it is left alone.
    return false
  }
}

/** Removes a placeholder that nobody has used. */
export function removeUnchanged(path: string, filling: Filling): void {
  try {
    if (!isUnchanged(path, filling)) return
    if ('folder' in filling) rmdirSync(path)
    else unlinkSync(path)
  } catch {
    // It was used or removed meanwhile.
  }
}

export function childrenOf(folder: string, list: (path: string) => string[]): string[] {
  try {
    return list(folder).map((name) => join(folder, name))
  } catch {
    // It has been removed, or cannot be read.
    return []
  }
}
