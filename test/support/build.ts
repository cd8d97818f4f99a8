import { execFileSync } from 'node:child_process'

/** Vitest's global set-up: what the tests start is what ships. Types are `npm run check`'s business. */
export function setup(): void {
  for (const project of ['src/tsconfig.json', 'src/http/console/browser']) {
    const words = ['node_modules/typescript/bin/tsc', '-p', project, '--noCheck']
    execFileSync(process.execPath, words, { stdio: 'inherit' })
  }
}
