// sandbox-agent, the peer that also serves Claude Code over HTTP: its server, its adapter (a Node process) and Claude Code.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { TurnTimes } from './bare-cli.ts'
import { eventsOf, readJson, send } from './client.ts'
import type { Command } from './proc.ts'

/** The server's program in the folder of the peers, and what brings it there. */
export const SERVER = 'node_modules/@sandbox-agent/cli-linux-x64/bin/sandbox-agent'
export const INSTALL = 'npm install sandbox-agent@0.4.2 @agentclientprotocol/claude-agent-acp@0.101.0'

/** A message of the Agent Client Protocol, as far as this looks at it. */
interface Message {
  id?: number
  result?: { sessionId?: string }
  params?: { update?: { sessionUpdate?: string } }
}

export interface SandboxAgentPlace {
  /** Where INSTALL was run. */
  peers: string
  /** An empty folder for this server. */
  folder: string
  port: number
  /** What the runner starts Claude Code with: the same binary, and the same way to the same model. */
  launch: Command
}

export class SandboxAgent {
  readonly url: string
  readonly pid: number
  readonly #child: ChildProcess
  readonly #cwd: string
  #sessions = 0
  #closed: Promise<void> | undefined

  constructor({ peers, folder, port, launch }: SandboxAgentPlace) {
    // It looks for `claude` by its name, and would fetch it from the network.
    symlinkSync(launch.executable, join(folder, 'claude'))
    const path = [folder, join(peers, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(':')
    const env = { ...launch.env, PATH: path, HOME: folder, CLAUDE_CODE_EXECUTABLE: launch.executable }
    const words = ['server', '--port', String(port), '--no-token', '--no-telemetry']
    // A group of its own: a signal ends the server alone, and would leave its adapters behind.
    this.#child = spawn(join(peers, SERVER), words, { env, cwd: folder, stdio: 'ignore', detached: true })
    this.#cwd = folder
    this.pid = this.#child.pid ?? -1
    this.url = `http://127.0.0.1:${port}`
  }

  /** Opens a session with an adapter and a Claude Code of its own. */
  async session(): Promise<PeerSession> {
    const url = `${this.url}/v1/acp/session-${++this.#sessions}`
    const info = { protocolVersion: 1, clientCapabilities: {}, clientInfo: { name: 'bench', version: '0' } }
    await call(`${url}?agent=claude`, 0, 'initialize', info)
    const { result } = await call(url, 1, 'session/new', { cwd: this.#cwd, mcpServers: [] })
    if (result?.sessionId === undefined) throw new Error('sandbox-agent has opened no session')
    return new PeerSession(url, result.sessionId, eventsOf<Message>(await send(url)))
  }

  /** Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { pid } = this.#child
    if (pid === undefined) return
    const exited = once(this.#child, 'exit')
    process.kill(-pid, 'SIGKILL')
    await exited
  }
}

class PeerSession {
  readonly #url: string
  readonly #sessionId: string
  /** One stream for all turns: a new one would begin with what the server still has of earlier turns. */
  readonly #messages: AsyncGenerator<Message[], undefined>
  #calls = 1

  constructor(url: string, sessionId: string, messages: AsyncGenerator<Message[], undefined>) {
    this.#url = url
    this.#sessionId = sessionId
    this.#messages = messages
  }

  /** Prompts, and parses every message until the answer to the prompt. */
  async turn(text: string): Promise<TurnTimes> {
    const id = ++this.#calls
    const start = performance.now()
    const times = { firstMs: 0, lastMs: 0, deltas: 0 }
    const params = { sessionId: this.#sessionId, prompt: [{ type: 'text', text }] }
    const answered = call(this.#url, id, 'session/prompt', params)
    for (let isAnswered = false; !isAnswered; ) {
      const { value: messages } = await this.#messages.next()
      if (messages === undefined) break
      isAnswered = messages.some((message) => message.id === id)
      const deltas = messages.filter(
        ({ params: told }) => told?.update?.sessionUpdate === 'agent_message_chunk',
      ).length
      if (deltas === 0) continue
      times.lastMs = performance.now() - start
      if (times.deltas === 0) times.firstMs = times.lastMs
      times.deltas += deltas
    }
    await answered
    return times
  }
}

async function call(url: string, id: number, method: string, params: object): Promise<Message> {
  const body = JSON.stringify({ jsonrpc: '2.0', id, method, params })
  return (await readJson(await send(url, { method: 'POST', body }))) as Message
}
