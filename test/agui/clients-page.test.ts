// The tables of docs/clients.md are written here: what each client takes is asked of its own parser. CLIENTS_PAGE=write
// brings the page up to date.
import { readFileSync, writeFileSync } from 'node:fs'
import { EventSchema } from '@ag-ui/core/schemas'
import { expect, test } from 'vitest'
import { OLDER, toOlder } from '../../src/agui/dialect.ts'
import type { AguiEvent } from '../../src/agui/event.ts'
import { REFUSED, TAKEN } from '../support/event-shapes.ts'
import { OLDER_CLIENTS } from '../support/older-clients.ts'

const PAGE = 'docs/clients.md'

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** `as it is`, `changed` when the client refuses that and takes what it is told instead, or `refused`. */
async function cell(event: AguiEvent, accepts: (event: unknown) => Promise<boolean>): Promise<string> {
  if (await accepts(event)) return 'as it is'
  const told = await Promise.all(toOlder(event, 't').map(accepts))
  return told.every(Boolean) ? 'changed' : 'refused'
}

async function matrix(): Promise<string> {
  const newest = { version: '1.0.0', accepts: async (event: unknown) => EventSchema.safeParse(event).success }
  const clients = [...OLDER_CLIENTS, newest]
  const rows = await Promise.all(
    [...TAKEN, ...REFUSED].map(async ([what, event]) => [
      what,
      ...(await Promise.all(clients.map(({ accepts }) => cell(event, accepts)))),
    ]),
  )
  const head = ['the runner tells', ...clients.map(({ version }) => version)]
  return [head, head.map(() => '---'), ...rows].map(row).join('\n')
}

function changes(): string {
  const changed = Object.entries(OLDER).filter(([, { fate }]) => fate === 'changed')
  const rows = changed.map(([type, { because }]) => [`\`${type}\``, because])
  return [['event', 'how and why'], ['---', '---'], ...rows].map(row).join('\n')
}

function withTable(page: string, name: string, table: string): string {
  const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const from = page.indexOf(start)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`${PAGE} has no place for ${name}.`)
  return `${page.slice(0, from + start.length)}\n\n${table}\n\n${page.slice(to)}`
}

test('the page says what the parsers and the table of the dialect say', async () => {
  const page = readFileSync(PAGE, 'utf8')
  const right = withTable(withTable(page, 'matrix', await matrix()), 'changes', changes())
  if (process.env['CLIENTS_PAGE'] === 'write') writeFileSync(PAGE, right)
  else expect(page).toBe(right)
})

test('nothing that the runner tells is refused by any of them', async () => {
  expect(await matrix()).not.toContain('refused')
})
