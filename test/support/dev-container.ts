// A repository whose dev container is made, and an engine for it, with the programs of a developer's machine.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Script } from '../../src/mock/script.ts'
import { DOCKER, openEngine, TEST_IMAGE, type TestEngine } from './engine.ts'
import { type Bench, openBench } from './runner.ts'

const ROOT = new URL('../..', import.meta.url).pathname
/** The usual one of a person on Linux. */
const PERSON = 1000
export const ALLOWED_HOST = 'world.example'
const WORLD = `require('http').createServer((q, s) => s.end(['the world:', q.method, q.headers.authorization].join(' '))).listen(80)`

export interface Said {
  code: number
  stdout: string
  stderr: string
}

export interface DevContainer {
  readonly bench: Bench
  readonly engine: TestEngine
  /** The repository. */
  readonly folder: string
  /** Shell text of an ordinary user on the host, in the repository. */
  host(text: string, env?: Record<string, string>): Promise<Said>
  /** Shell text in the container that `up` has made. */
  inside(text: string, user?: string): Promise<Said>
  /**
   * Puts on the network the machine that the policy allows. The next one on the way out, which is this, has the model.
   * Returns its address.
   */
  surround(network: string): Promise<{ host: string; port: number }>
  close(): Promise<void>
}

export async function openDevContainer(script: Script): Promise<DevContainer> {
  const bench = await openBench({ script })
  const engine = await openEngine().catch(async (error: unknown) => {
    await bench.close()
    throw error
  })
  const folder = join(bench.directory, 'repository')
  const programs = join(bench.directory, 'bin')
  for (const made of [folder, programs]) mkdirSync(made)
  for (const own of [bench.directory, bench.home, folder]) chownSync(own, PERSON, PERSON)
  const socket = new URL(engine.host).pathname
  chmodSync(dirname(socket), 0o711)
  chmodSync(socket, 0o666)
  for (const [name, command] of [
    ['agui-runner', `node ${ROOT}dist/main.js`],
    ['devcontainer', `node ${fileURLToPath(import.meta.resolve('@devcontainers/cli/devcontainer.js'))}`],
    ['docker', DOCKER],
  ] as const) {
    writeFileSync(join(programs, name), `#!/bin/sh\nexec ${command} "$@"\n`)
    chmodSync(join(programs, name), 0o755)
  }
  let relay: Server | undefined
  const run = (file: string, args: readonly string[], env: Record<string, string> = {}): Promise<Said> =>
    new Promise((resolve) => {
      const mine = { PATH: `${programs}:${process.env['PATH']}`, HOME: bench.home, TMPDIR: bench.directory }
      const options = { cwd: folder, env: { ...mine, DOCKER_HOST: engine.host, ...env } }
      const child = execFile(file, args, options, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
      )
      child.stdin?.end()
    })
  return {
    bench,
    engine,
    folder,
    host: (text, env) =>
      run('setpriv', [`--reuid=${PERSON}`, `--regid=${PERSON}`, '--clear-groups', 'sh', '-euc', text], env),
    inside(text, user = 'sandbox') {
      const id = engine.docker('ps', '--quiet', '--filter', 'label=devcontainer.local_folder')
      return run(DOCKER, ['exec', '-u', user, '-w', '/sandbox/workspace', id, 'sh', '-c', text])
    },
    async surround(network) {
      const place = ['--network', network, '--network-alias', ALLOWED_HOST]
      engine.docker('run', '--detach', '--name', 'world', ...place, TEST_IMAGE, 'node', '-e', WORLD)
      const gateway = '{{(index .IPAM.Config 0).Gateway}}'
      const host = engine.docker('network', 'inspect', network, '--format', gateway)
      const model = Number(new URL(bench.gateway.directUrl).port)
      relay = createServer((client) => {
        const upstream = connect(model, '127.0.0.1')
        for (const one of [client, upstream])
          one.on('error', () => [client, upstream].map((it) => it.destroy()))
        client.pipe(upstream).pipe(client)
      })
      relay.listen(0, host)
      await once(relay, 'listening')
      const address = relay.address()
      return { host, port: typeof address === 'object' ? (address?.port ?? 0) : 0 }
    },
    async close() {
      relay?.close()
      await engine.close()
      await bench.close()
    },
  }
}
