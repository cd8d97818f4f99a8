// What runs in the sandboxes of a gateway that tests make: real processes, which live on when nobody hears them.
import { type ChildProcess, spawn } from 'node:child_process'
import { type ServerWritableStream, status } from '@grpc/grpc-js'

export interface CommandFaults {
  /** Streams that are cut as soon as their command has written something. */
  cuts?: number
  /** Such a stream ends without an error and without an exit. */
  isQuietCut?: boolean
}

interface CommandWants {
  command: readonly string[]
  env: Record<string, string>
  stdin: Uint8Array
  faults: CommandFaults
}

export class SandboxCommands {
  /** What commands wrote, heard by the launcher or not. */
  output = ''
  readonly #children = new Set<ChildProcess>()
  readonly #streams = new Set<() => void>()
  readonly #onChange: () => void

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  get running(): number {
    return this.#children.size
  }

  /** As a gateway does that is restarted: the commands run on. */
  cutStreams(): void {
    for (const cut of this.#streams) cut()
  }

  kill(): void {
    for (const { pid } of this.#children)
      try {
        if (pid !== undefined) process.kill(-pid, 'SIGKILL')
      } catch {
        // It has ended.
      }
  }

  run(call: ServerWritableStream<object, object>, { command, env, stdin, faults }: CommandWants): void {
    const [file = '', ...words] = command
    const child = spawn(file, words, {
      env: { PATH: process.env['PATH'], ...env },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#children.add(child)
    this.#onChange()
    let isCut = false
    const cut = (): void => {
      isCut = true
      this.#streams.delete(cut)
      if (faults.isQuietCut === true) call.end()
      else call.emit('error', { code: status.UNAVAILABLE, details: 'exec relay closed' })
    }
    this.#streams.add(cut)
    const write = (event: object): void => {
      this.#onChange()
      if (isCut || call.cancelled) return
      call.write(event)
      if ((faults.cuts ?? 0) <= 0) return
      faults.cuts = (faults.cuts ?? 0) - 1
      cut()
    }
    child.stdout.on('data', (data: Buffer) => {
      this.output += data.toString()
      write({ stdout: { data } })
    })
    child.stderr.on('data', (data: Buffer) => write({ stderr: { data } }))
    child.stdin.on('error', () => undefined)
    child.stdin.end(stdin)
    child.once('error', () => this.#ended(child))
    child.once('close', (code) => {
      this.#ended(child)
      this.#streams.delete(cut)
      if (isCut || call.cancelled) return
      call.write({ exit: { exit_code: code ?? 1 } })
      call.end()
    })
  }

  #ended(child: ChildProcess): void {
    this.#children.delete(child)
    this.#onChange()
  }
}
