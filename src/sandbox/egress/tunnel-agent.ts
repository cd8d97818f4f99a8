// The proxy's own connection to an inspected server: opened ahead, used by one client at a time, kept for the next.
import { Agent, type ClientRequestArgs } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Upper bounds of the connections that wait for a next client, and of their time. Servers close theirs after 5 s or more. */
const KEPT_MAX = 64
const KEPT_MS_MAX = 4000

type Dial = () => Promise<Duplex>

/** Agent that opens its connection with `dial`, keeps it for the next request, and never has two. */
export class TunnelAgent extends Agent {
  #dial: Dial
  #ahead: Promise<Duplex | undefined> | undefined
  /** Whether the idle connection is another client's. */
  #isOfOther = false
  #isPersonal = false

  constructor(dial: Dial) {
    super({ keepAlive: true, maxSockets: 1, timeout: KEPT_MS_MAX })
    this.#dial = dial
  }

  override createConnection(
    _options: ClientRequestArgs,
    done?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    this.#connect().then(
      (socket) => done?.(null, socket),
      // The callback's type knows no failure without a socket.
      (error: Error) => (done as ((error: Error) => void) | undefined)?.(error),
    )
  }

  /** Opens the connection of the next request ahead of it. A failure is that request's: it dials again. */
  dialAhead(): void {
    this.#ahead = this.#dial().then(
      (socket) => socket.on('error', () => socket.destroy()),
      () => undefined,
    )
  }

  /** The connection that another client may use: open, its last answer read to the end. */
  get idle(): Socket | undefined {
    if (this.#isPersonal) return undefined
    const idle = Object.values(this.freeSockets).flatMap((sockets) => sockets ?? [])
    return idle.find(({ readable, writable }) => readable && writable)
  }

  /** Serves another client from now on. */
  passTo(dial: Dial): void {
    this.#dial = dial
    this.#isOfOther = true
  }

  /**
   * Called before each request. The first of a client that must not be sent twice has a new connection: on one that the
   * server closes meanwhile it would be lost, and this client could not know why.
   */
  begin({ isRepeatable, isPersonal }: { isRepeatable: boolean; isPersonal: boolean }): void {
    if (this.#isOfOther && !isRepeatable) super.destroy()
    this.#isOfOther = false
    this.#isPersonal ||= isPersonal
  }

  override destroy(): void {
    super.destroy()
    void this.#ahead?.then((socket) => socket?.destroy())
  }

  async #connect(): Promise<Duplex> {
    const socket = await this.#ahead
    this.#ahead = undefined
    return socket?.readable === true && socket.writable ? socket : await this.#dial()
  }
}

/** Agents whose client has gone and whose connection is idle, oldest first. Equal keys are interchangeable. */
export class KeptAgents {
  #kept: { key: string; agent: TunnelAgent }[] = []
  #isClosed = false

  /** Returns an agent for a client: a kept one, or a new one that dials ahead. */
  take(key: string, dial: Dial): TunnelAgent {
    const found = this.#kept.findLast((each) => each.key === key && each.agent.idle !== undefined)
    if (found === undefined) {
      const agent = new TunnelAgent(dial)
      agent.dialAhead()
      return agent
    }
    this.#kept = this.#kept.filter((each) => each !== found)
    found.agent.idle?.off('data', hangUp)
    found.agent.passTo(dial)
    return found.agent
  }

  /** Takes back the agent of a client that has gone, and ends it when its connection is not idle. */
  keep(key: string, agent: TunnelAgent): void {
    const { idle } = agent
    if (idle === undefined || this.#isClosed) {
      agent.destroy()
      return
    }
    // Nothing was asked, so what comes now is no answer to the next request.
    idle.once('data', hangUp)
    this.#kept = this.#kept.filter((each) => each.agent.idle !== undefined)
    this.#kept.push({ key, agent })
    if (this.#kept.length > KEPT_MAX) this.#kept.shift()?.agent.destroy()
  }

  /** Ends all connections, and each that comes back later. Safe to call twice. */
  close(): void {
    this.#isClosed = true
    for (const { agent } of this.#kept.splice(0)) agent.destroy()
  }
}

function hangUp(this: Socket): void {
  this.destroy()
}
