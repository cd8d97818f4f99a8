// A real redis-server from the system's packages, in a folder of its own. Where it is not installed the tests that need it
// fail: `.ci/run` installs it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from './ports.ts'

export interface RedisServerOptions {
  /** As on the command line: `--appendonly yes`. */
  settings?: Record<string, string>
  /** On a loopback port in the place of a Unix socket: for sentinels and proxies. */
  isOnPort?: boolean
}

export class RedisServer {
  readonly directory = mkdtempSync(join(tmpdir(), 'agui-redis-test-'))
  readonly port: number
  readonly #settings: readonly string[]
  #child: ChildProcess | undefined

  private constructor(settings: readonly string[], port: number) {
    this.#settings = settings
    this.port = port
  }

  static async start({ settings = {}, isOnPort = false }: RedisServerOptions = {}): Promise<RedisServer> {
    const port = isOnPort ? await freePort() : 0
    const given = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')])
    const server = new RedisServer(given, port)
    await server.start()
    return server
  }

  /** Of a master called `main` on a loopback port; two of them agree within a second that it is gone. */
  static async startSentinel({
    port,
    masterPort,
  }: {
    port: number
    masterPort: number
  }): Promise<RedisServer> {
    const server = new RedisServer([], port)
    const file = join(server.directory, 'sentinel.conf')
    writeFileSync(
      file,
      [
        `sentinel monitor main 127.0.0.1 ${masterPort} 2`,
        'sentinel down-after-milliseconds main 300',
        'sentinel failover-timeout main 2000',
        '',
      ].join('\n'),
    )
    await server.#spawn([file, '--sentinel', '--port', `${port}`, '--bind', '127.0.0.1'], 'monitor master')
    return server
  }

  get socket(): string {
    return join(this.directory, 'redis.sock')
  }

  get url(): string {
    return this.port === 0 ? `unix://${this.socket}` : `redis://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** Again, on the same folder. */
  async start(): Promise<void> {
    const place = this.port === 0 ? ['--port', '0', '--unixsocket', this.socket] : ['--port', `${this.port}`]
    const own = ['--bind', '127.0.0.1', '--dir', this.directory, '--save', '']
    await this.#spawn([...place, ...own, ...this.#settings], 'eady to accept connections')
  }

  async #spawn(args: readonly string[], ready: string): Promise<void> {
    const child = spawn('redis-server', args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] ?? '' },
    })
    this.#child = child
    let said = ''
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', () => reject(new Error(`redis-server ended:\n${said}`)))
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes(ready)) resolve()
      })
    })
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    await gone
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** One command on a connection of its own. */
  async ask(command: string, ...args: string[]): Promise<unknown> {
    const redis = new Redis(this.port === 0 ? { path: this.socket } : { port: this.port, host: '127.0.0.1' })
    try {
      return await redis.call(command, args)
    } finally {
      redis.disconnect()
    }
  }

  /** As whoever has the password. */
  async askAs(password: string, command: string): Promise<unknown> {
    const redis = new Redis({ port: this.port, host: '127.0.0.1', password })
    try {
      return await redis.call(command)
    } finally {
      redis.disconnect()
    }
  }

  async close(): Promise<void> {
    await this.stop('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }
}
