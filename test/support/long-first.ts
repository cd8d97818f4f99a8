import { createHash } from 'node:crypto'
import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * Each starts hundreds of git or shell processes. A fork copies the page tables of its worker, whose memory grows with every file:
 * behind all others some of these files took twice the processor time.
 */
const FORKING = new Set([
  'test/e2e/platform-git.test.ts',
  'test/hostile/git-after.test.ts',
  'test/hostile/git-around.test.ts',
  'test/hostile/git-later.test.ts',
  'test/hostile/workspace-shapes.test.ts',
  'test/launch/clone.test.ts',
  'test/workspace/repositories.test.ts',
  'test/workspace/revisions.test.ts',
  'test/workspace/workflows.test.ts',
  'test/wrappers/model-route.test.ts',
])
/** These take longest: an engine, an image, browsers. They begin before the rest. */
const LONGEST = new Set([
  'test/browser/pages.test.ts',
  'test/browser/states.test.ts',
  'test/e2e/workspace-setup.test.ts',
  'test/examples/apps.test.ts',
  'test/image/tree.test.ts',
  'test/outside/launch.test.ts',
])
/** Each takes tens of seconds. Begun last, one of them would keep a single worker busy when everything else is done. */
const LONG = new Set([
  'test/e2e/approvals.test.ts',
  'test/e2e/first-prompt.test.ts',
  'test/e2e/kill.test.ts',
  'test/e2e/lives.test.ts',
  'test/e2e/rejected-input.test.ts',
  'test/e2e/switches.test.ts',
  'test/e2e/volume.test.ts',
  'test/github-app/token.test.ts',
  'test/hostile/hung-claude.test.ts',
  'test/hostile/kept.test.ts',
  'test/hostile/process.test.ts',
  'test/mock/claude-code.test.ts',
  'test/one-off/here.test.ts',
  'test/sandbox/escapes.test.ts',
])

/** What forks most first, then the long files; within each group a random order by the seed, so that no file comes to lean on another. */
export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { root, sequence } = this.ctx.config
    if (files.length > 1) this.ctx.logger.log(`Order of the files: --sequence.seed=${sequence.seed}`)
    const placeOf = ({ moduleId }: TestSpecification): string => {
      const name = relative(root, moduleId)
      const random = createHash('sha256').update(`${sequence.seed} ${name}`).digest('hex')
      const group = [FORKING, LONGEST, LONG].findIndex((names) => names.has(name))
      return `${group === -1 ? 3 : group} ${random}`
    }
    return files.toSorted((one, other) => (placeOf(one) < placeOf(other) ? -1 : 1))
  }
}
