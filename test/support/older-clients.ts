// The clients before AG-UI 1.0, under the names that package.json gives them, each with the core that it carries.
import { createRequire } from 'node:module'
import type { HttpAgent } from '@ag-ui/client'
import { z } from 'zod'

type Agent = typeof HttpAgent

const Client = z.object({ HttpAgent: z.custom<Agent>((value) => typeof value === 'function') })
const Parser = z.object({ EventSchemas: z.custom<Schema>((value) => typeof value === 'object') })
interface Schema {
  safeParse(value: unknown): { success: boolean }
}

export interface OlderClient {
  version: string
  /** Whether its parser takes the event; it refuses the whole run for one that it does not. */
  accepts(event: unknown): Promise<boolean>
  /** Typed as the one of 1.0, of which it has the older half. */
  agent(): Promise<Agent>
}

const NUMBERS = [45, 49, 53, 57, 58, 59] as const

export const OLDER_CLIENTS: readonly OlderClient[] = NUMBERS.map((number) => {
  let schemas: Promise<Schema> | undefined
  return {
    version: `0.0.${number}`,
    async agent() {
      return Client.parse(await import(`ag-ui-client-${number}`)).HttpAgent
    },
    async accepts(event) {
      schemas ??= coreOf(number)
      return (await schemas).safeParse(JSON.parse(JSON.stringify(event))).success
    },
  }
})

async function coreOf(number: number): Promise<Schema> {
  const client = createRequire(import.meta.url).resolve(`ag-ui-client-${number}`)
  const core: unknown = createRequire(client)('@ag-ui/core')
  return Parser.parse(core).EventSchemas
}
