import { ownEvent } from '../agui/own-events.ts'
import { inBackground } from '../background.ts'
import { isObject } from '../json.ts'
import { unlessAborted, within } from '../within.ts'
import type { ClaudeProcess } from './process/process.ts'
import { kindOf, readInit } from './translate/messages.ts'
import type { Turn } from './turn.ts'

/** After this time without output a turn reports the servers it waits for. A reconnect may take as long. */
const SLOW_AFTER_MS = 2000

/** The MCP servers of one Claude process that a run waits for or lacks. */
export class McpServers {
  /** Servers that refused Claude Code. It remembers a refusal for 15 minutes and asks them nothing meanwhile. */
  #refused: string[] = []

  hear(message: unknown): void {
    if (!isObject(message) || kindOf(message) !== 'system/init') return
    const servers = readInit(message)?.mcp_servers ?? []
    this.#refused = servers.flatMap(({ name, status }) => (status === 'needs-auth' ? [name] : []))
  }

  /** Reconnects to the servers that refused, because the policy or a credential may have changed. */
  async retry(claude: ClaudeProcess, signal: AbortSignal): Promise<void> {
    const refused = this.#refused.splice(0)
    if (refused.length === 0) return
    const tried = Promise.all(refused.map((name) => claude.retryServer(name)))
    const bounds = { signal, timeoutMs: SLOW_AFTER_MS }
    await within(bounds, (own) => unlessAborted(own, tried)).catch(() => {
      // The run continues without the server; Claude Code keeps trying.
    })
  }

  /** Reports the servers that a turn waits for when the turn is still silent after SLOW_AFTER_MS. */
  watch(claude: ClaudeProcess, turn: Turn, signal: AbortSignal): void {
    const report = async (): Promise<void> => {
      if (turn.isOver || turn.translator.init !== undefined || signal.aborted) return
      const servers = await claude.toolServers(signal)
      const pending = servers.flatMap(({ name, status }) => (status === 'pending' ? [name] : []))
      if (pending.length > 0 && turn.translator.init === undefined)
        turn.emit([ownEvent('mcp_waiting', { servers: pending, waitedMs: SLOW_AFTER_MS })])
    }
    // A process that ends meanwhile ends the turn, which reports it.
    const quietly = (): Promise<void> => report().catch(() => undefined)
    setTimeout(() => inBackground({ name: 'asking for slow MCP servers' }, quietly()), SLOW_AFTER_MS).unref()
  }
}
