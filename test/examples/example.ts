// An app of examples/, started as its README line says, with the packages that its own lock file names.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const EXAMPLES = new URL('../../examples/', import.meta.url).pathname
const INSTALL_MS_MAX = 300_000

/** Why the example cannot run here; undefined when it can. With CI=true its packages are installed, or it is a failure. */
export function missingPackages(name: string): string | undefined {
  const directory = join(EXAMPLES, name)
  if (existsSync(join(directory, 'node_modules', '.package-lock.json'))) return undefined
  if (process.env['CI'] !== 'true') return `npm ci was not run in examples/${name}`
  execFileSync('npm', ['ci'], {
    cwd: directory,
    timeout: INSTALL_MS_MAX,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return undefined
}

export interface Example {
  readonly url: string
  close(): Promise<void>
}

/** `npm start` in the example's folder, in front of the runner at `runnerUrl`; on a free port, when none is given. */
export async function startExample(
  name: string,
  runnerUrl: string,
  { token, port = 0 }: { token?: string; port?: number } = {},
): Promise<Example> {
  const child = spawn('npm', ['start', '--silent'], {
    cwd: join(EXAMPLES, name),
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      PORT: String(port),
      AGUI_URL: runnerUrl,
      ...(token === undefined ? {} : { AGUI_TOKEN: token }),
      COPILOTKIT_TELEMETRY_DISABLED: 'true',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    // npm does not hand every signal on; the group gets it.
    detached: true,
  })
  const exited = once(child, 'exit')
  const ended = exited.then(() => Promise.reject(new Error(`examples/${name} ended before it listened`)))
  const listening = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? []
      if (url !== undefined) resolve(url)
    })
  })
  const url = await Promise.race([listening, ended])
  ended.catch(() => undefined)
  return {
    url,
    async close() {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
        process.kill(-child.pid)
      await exited
    },
  }
}
