import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { z } from 'zod'

const Results = z.object({
  violations: z.array(
    z.object({ id: z.string(), help: z.string(), nodes: z.array(z.object({ html: z.string() })) }),
  ),
})

/** What axe finds in the page as it is now, one line each. */
export function axeFindings(page: Page): Promise<string[]> {
  return findings(page, '{}')
}

/** The one rule that may break in another colour scheme. */
export function contrastFindings(page: Page): Promise<string[]> {
  return findings(page, "{ runOnly: ['color-contrast'] }")
}

async function findings(page: Page, options: string): Promise<string[]> {
  // Once for each document; the next one comes without it.
  if ((await page.evaluate('typeof axe')) === 'undefined') await page.evaluate(axe.source)
  const { violations } = Results.parse(await page.evaluate(`axe.run(${options})`))
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`)
}
