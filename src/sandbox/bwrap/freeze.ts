// Which names below a folder are kept from being written inside: each becomes a read-only mount of its own.
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
import type { Mount } from './mount-view.ts'
import { type Identity, isWithin } from './places.ts'

export type Shape = 'absent' | 'folder' | 'file' | 'link' | 'other' | 'unreadable'

/** What stands there, whatever it is. Follows no link and never throws. */
export function shapeOf(path: string): Shape {
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return 'absent'
    if (stat.isDirectory()) return 'folder'
    if (stat.isFile()) return 'file'
    return stat.isSymbolicLink() ? 'link' : 'other'
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // Above it is something that is no folder: the name cannot be there.
    return code === 'ENOTDIR' || code === 'ELOOP' ? 'absent' : 'unreadable'
  }
}

/** What a link says; undefined of anything else. */
export function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    // It is no link, or not there.
    return undefined
  }
}

/** Every link followed; undefined when it leads nowhere. */
export function realOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    return realpathSync(path)
  } catch {
    // It leads nowhere.
    return undefined
  }
}

/** The folders above `path` up to `root`, the outermost first; undefined when one of them is no folder. */
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
 * Collects the mounts of one start. A mount keeps its own name from being renamed or removed, but not the folders
 * above it: those become mounts too.
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

  /** Those that were added. */
  get outerRoots(): readonly string[] {
    return this.#roots.slice(1)
  }

  get count(): number {
    return this.#mounts.size
  }

  /** A folder outside the workspace that is to be there too, such as a worktree's repository. */
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

  /** Writable, in a folder that is frozen. */
  thaw(path: string): void {
    this.#mounts.set(path, { kind: 'write', source: path, target: path })
  }

  /** Read-only, where no folder of ours is above: whoever can rename what is above it can do more than that. */
  freezeAbove(path: string): void {
    this.#mounts.set(path, { kind: 'read', source: path, target: path })
  }

  /** Read-only, with all that is below. False when nothing can be mounted there: a link would be followed. */
  freeze(path: string): boolean {
    const shape = shapeOf(path)
    if (shape === 'absent' || shape === 'link' || shape === 'unreadable') return false
    return this.#add(path)
  }

  /** As `freeze`; where nothing is, something that means nothing is put for as long as the process lives. */
  freezeOrFill(path: string, filling: Filling): boolean {
    if (!this.isInside(path)) return false
    // In a folder that is not there either, nobody may make that.
    const above = dirname(path)
    if (shapeOf(above) === 'absent') return this.freezeOrFill(above, { folder: true })
    const isFilled = this.#placeholders.take(path, filling)
    if (isFilled) this.#held.push(path)
    return this.freeze(path)
  }

  /** Takes the placeholders of this start back. Idempotent. */
  release(): void {
    for (const path of this.#held.splice(0)) this.#placeholders.release(path)
  }

  #add(path: string): boolean {
    const root = this.#roots.find((one) => path !== one && isWithin(path, one))
    const above = root === undefined ? undefined : foldersAbove(path, root)
    // Where the reader cannot go nothing can be mounted for it, and nothing needs to be.
    if (above === undefined || !above.every((folder) => canPass(folder, this.#reader))) return false
    const pins: string[] = []
    for (const folder of above.reverse()) {
      const mount = this.#mounts.get(folder)
      // What lies in a frozen folder is frozen; pins there would make it writable.
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

/** What stands where nothing may be made, shared by the processes that need it, gone with the last of them. */
export class Placeholders {
  readonly #counts = new Map<string, number>()
  readonly #fillings = new Map<string, Filling>()

  /** Whether what stands there is a placeholder. */
  take(path: string, filling: Filling): boolean {
    if (!this.#counts.has(path) && !make(path, filling) && !isLeftOver(path, filling)) return false
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

/** It belongs to whom its folder belongs to. */
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
    // Something is there, or nothing can be made there: then nobody inside can either.
    return false
  }
}

/** Of a runner that was killed. An empty one could be anybody's. */
function isLeftOver(path: string, filling: Filling): boolean {
  return 'text' in filling && filling.text !== '' && isUnchanged(path, filling)
}

function isUnchanged(path: string, filling: Filling): boolean {
  if ('folder' in filling) return true
  if (shapeOf(path) !== 'file') return false
  try {
    return lstatSync(path).size === filling.text.length && readFileSync(path, 'utf8') === filling.text
  } catch {
    // It went, or cannot be read: it is not ours to remove.
    return false
  }
}

function removeUnchanged(path: string, filling: Filling): void {
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
    // It went, or cannot be read.
    return []
  }
}
