import { execFileSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

export type DiskKind = 'tmpfs' | 'ext4'

/** A real file system of few bytes, mounted. Without the right to mount it fails, and does not pass. */
export class SmallDisk {
  readonly #folder: string
  readonly #image: string | undefined

  private constructor(folder: string, image: string | undefined) {
    this.#folder = folder
    this.#image = image
  }

  static mount(kind: DiskKind, folder: string, bytes: number): SmallDisk {
    mkdirSync(folder, { recursive: true })
    if (kind === 'tmpfs') {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder])
      return new SmallDisk(folder, undefined)
    }
    const image = `${folder}.image`
    writeFileSync(image, '')
    truncateSync(image, bytes)
    execFileSync('mkfs.ext4', ['-q', '-m', '0', image])
    execFileSync('mount', ['-o', 'loop', image, folder])
    return new SmallDisk(folder, image)
  }

  get #filler(): string {
    return join(this.#folder, 'filler')
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#folder)
    return bavail * bsize
  }

  /** Until not a byte more goes in. */
  fill(): void {
    const file = openSync(this.#filler, 'a')
    try {
      for (const block of [Buffer.alloc(65_536), Buffer.alloc(512)]) fillWith(file, block)
    } finally {
      closeSync(file)
    }
  }

  free(): void {
    rmSync(this.#filler, { force: true })
  }

  /** Also while a process that a failed test left behind still has a file open there. */
  unmount(): void {
    execFileSync('umount', ['--lazy', this.#folder])
    if (this.#image !== undefined) rmSync(this.#image)
  }
}

function fillWith(file: number, block: Buffer): void {
  try {
    for (;;) writeSync(file, block)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  }
}
