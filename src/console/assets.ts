import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RunnerError } from '../errors.ts'
import { PACKAGE_DIRECTORY } from '../package-directory.ts'

/** The console's modules as a browser gets them. */
export interface Assets {
  /** Changes with any of them: an address that holds it may be kept for ever. */
  version: string
  files: ReadonlyMap<string, Buffer>
}

/** Where the compiler puts them, also for a server that runs from its sources (`npm start`). */
const COMPILED = join(PACKAGE_DIRECTORY, 'dist', 'console')

const VERSION_CHARS = 16

/** @throws {RunnerError} `not_found` when nobody has built them. */
export async function readAssets(): Promise<Assets> {
  const names = await readdir(COMPILED).catch(() => [])
  const modules = names.filter((name) => name.endsWith('.js')).sort()
  if (modules.length === 0) {
    throw new RunnerError('not_found', 'The console is not built here; run "npm run build".')
  }
  const files = new Map<string, Buffer>()
  const hash = createHash('sha256')
  for (const name of modules) {
    const bytes = await readFile(join(COMPILED, name))
    files.set(name, bytes)
    hash.update(name).update(bytes)
  }
  return { version: hash.digest('hex').slice(0, VERSION_CHARS), files }
}
