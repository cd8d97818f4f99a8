import { execFileSync } from 'node:child_process'

/** Vitest's global set-up: what the tests start is what ships. */
export function setup(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
}
