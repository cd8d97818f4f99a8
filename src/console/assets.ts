import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RunnerError } from '../errors.ts'
import { PACKAGE_DIRECTORY } from '../package-directory.ts'

/** The console's modules, as they are sent. */
export interface Assets {
  /** A hash of all modules, so that an address with it in may be cached for ever. */
  version: string
  files: ReadonlyMap<string, Buffer>
}

/** Where `npm run build` puts them. A server that runs from its sources (`npm start`) reads them there too. */
const COMPILED = join(PACKAGE_DIRECTORY, 'dist', 'console')

const VERSION_CHARS = 16

/** Reads the built modules. @throws {RunnerError} `not_found` when there are none. */
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
