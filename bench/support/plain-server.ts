import type { ChildProcess } from 'node:child_process'
import type { Command } from './proc.ts'
import type { Workshop } from './workshop.ts'

export type PlainRequest =
  | { type: 'file'; path: string }
  | { type: 'start'; command: Command }
  | { type: 'prompt'; prompt: string }
  | { type: 'stop' }

export type PlainAnswer = { type: 'listening'; port: number } | { type: 'done' }

/** The reference server, in a process of its own as ours is. */
export class PlainServer {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.url = `http://127.0.0.1:${port}`
  }

  static async start(workshop: Workshop): Promise<PlainServer> {
    const child = workshop.child(new URL('./plain-server-process.ts', import.meta.url))
    const answer = await nextAnswer(child)
    return new PlainServer(child, answer.type === 'listening' ? answer.port : 0)
  }

  /** What `/file` and `/memory` give. */
  async serve(path: string): Promise<void> {
    await this.#ask({ type: 'file', path })
  }

  /** Starts a bare Claude Code and warms it by one turn. */
  async startCli(command: Command): Promise<void> {
    await this.#ask({ type: 'start', command })
  }

  /** Resolves when the turn has ended. */
  async prompt(prompt: string): Promise<void> {
    await this.#ask({ type: 'prompt', prompt })
  }

  async stopCli(): Promise<void> {
    await this.#ask({ type: 'stop' })
  }

  async #ask(request: PlainRequest): Promise<void> {
    const answer = nextAnswer(this.#child)
    this.#child.send(request)
    await answer
  }
}

function nextAnswer(child: ChildProcess): Promise<PlainAnswer> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('the plain server ended'))
    child.once('exit', onExit)
    child.once('message', (answer: PlainAnswer) => {
      child.off('exit', onExit)
      resolve(answer)
    })
  })
}
