import { execFileSync } from 'node:child_process'

/** Vitest's global set-up: what the tests start is what ships. Types are `npm run check`'s business. */
export function setup(): void {
  execFileSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', 'src/tsconfig.json', '--noCheck'],
    {
      stdio: 'inherit',
    },
  )
}
