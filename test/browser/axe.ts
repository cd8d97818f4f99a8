import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { z } from 'zod'

const require = createRequire(import.meta.url)
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const Findings = z.array(z.object({ id: z.string(), help: z.string(), nodes: z.array(z.string()) }))

/** What axe finds in the page as it is now, one line each. */
export function axeFindings(page: Page): Promise<string[]> {
  return findings(page, '{}')
}

/** The one rule that may break in another colour scheme. */
export function contrastFindings(page: Page): Promise<string[]> {
  return findings(page, "{ runOnly: ['color-contrast'] }")
}

/** Only the violations leave the page: all that passes is a hundred times as much. */
async function findings(page: Page, options: string): Promise<string[]> {
  // Once for each document; the next one comes without it.
  if ((await page.evaluate('typeof axe')) === 'undefined') await page.evaluate(AXE)
  const found = await page.evaluate(`axe
    .run({ resultTypes: ['violations'], ...${options} })
    .then(({ violations }) => violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html }) => html) })))`)
  return Findings.parse(found).map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.join(' ')}`)
}
