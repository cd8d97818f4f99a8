// The workflows of docs/ci.md, for the tests that run them.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'

const DOC = readFileSync(new URL('../../docs/ci.md', import.meta.url), 'utf8')

/** By the name of the file that each says it is. */
export const EXAMPLES: ReadonlyMap<string, string> = new Map(
  [...DOC.matchAll(/```yaml\n(# (\S+)\n[\s\S]*?)```/g)].map(([, text = '', file = '']) => [
    basename(file),
    text,
  ]),
)

export const [, SHELL_EXAMPLE = ''] = /```bash\n([\s\S]*?)```/.exec(DOC) ?? []

const Workflow = z.object({
  jobs: z.record(
    z.string(),
    z.object({
      steps: z.array(
        z.object({ uses: z.string().optional(), with: z.record(z.string(), z.unknown()).default({}) }),
      ),
    }),
  ),
})

/** What the example gives to the action, in a job where these expressions have these values. */
export function exampleInputs(
  name: string,
  values: Readonly<Record<string, string>>,
): Record<string, string> {
  const { jobs } = Workflow.parse(parse(EXAMPLES.get(name) ?? ''))
  const steps = Object.values(jobs).flatMap((job) => job.steps)
  const step = steps.find(({ uses }) => uses?.startsWith('OWNER/agui-runner/action@'))
  if (step === undefined) throw new Error(`${name} has no step of the action`)
  const expand = (text: string): string =>
    text.replace(/\$\{\{(.*?)\}\}/g, (_whole, expression: string) => {
      const value = values[expression.trim()]
      if (value === undefined) throw new Error(`the test has no value for ${expression}`)
      return value
    })
  return Object.fromEntries(Object.entries(step.with).map(([input, value]) => [input, expand(String(value))]))
}
