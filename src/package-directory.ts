import { join } from 'node:path'

/** The folder of `package.json`, `wrappers/`, `policy.yaml` and `dist/`. It is one above `src` and above `dist`. */
export const PACKAGE_DIRECTORY = join(import.meta.dirname, '..')
