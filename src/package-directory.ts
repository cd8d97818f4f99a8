import { join } from 'node:path'

/** Where `package.json`, `wrappers/`, `policy.yaml` and `dist/` lie, for this file in `src` as for its bundle in `dist`. */
export const PACKAGE_DIRECTORY = join(import.meta.dirname, '..')
