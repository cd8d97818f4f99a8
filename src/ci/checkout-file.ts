import { realpath } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { RunnerError } from '../errors.ts'

/**
 * Returns the path of a file that an input names. The checkout may be a stranger's, so no link in it may choose another
 * file of this machine, such as the step's own environment, or git's settings with the job's token.
 *
 * @throws {RunnerError} `config_invalid` for such a link.
 */
export async function fileOfCheckout(input: string, name: string, root: string): Promise<string> {
  const path = resolve(root, name)
  const real = await realpath(path).catch(() => undefined)
  // What is not there is said by whoever reads it.
  if (real === undefined || !isWithin(path, root)) return path
  const checkout = await realpath(root)
  if (isWithin(real, checkout) && !isWithin(real, join(checkout, '.git'))) return path
  throw new RunnerError('config_invalid', `${input} leads out of the checkout by a link.`)
}

function isWithin(path: string, folder: string): boolean {
  return !/^\.\.(?:\/|$)/.test(relative(folder, path))
}
