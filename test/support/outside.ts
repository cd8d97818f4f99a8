// One engine, one image and one mock for everything that is launched in a container.
import { chownSync, readdirSync } from 'node:fs'
import type { Script } from '../../src/mock/script.ts'
import { openEngine, TEST_IMAGE, type TestEngine } from './engine.ts'
import { type OneOffProcess, type OneOffStart, startOneOff } from './one-off.ts'
import { type Bench, openBench } from './runner.ts'

/** The model's key, which only the broker has. */
export const KEY = 'sk-ant-api03-held-outside-0123456789'
/** The image's user. */
const SANDBOX_UID = 10001

/** Launches on one bench, with a direct route to its mock. */
export interface Launchers {
  readonly bench: Bench
  /** `agui-runner run` (or another command) with these arguments. */
  start(args: readonly string[], options?: OneOffStart): OneOffProcess
  /** The same to its end. */
  run(
    args: readonly string[],
    options?: OneOffStart,
  ): Promise<{ code: number | string; stdout: string; stderr: string }>
  /** Ends what a test that failed left running. */
  stop(): Promise<void>
}

export interface Outside extends Launchers {
  readonly engine: TestEngine
  /** Everything of a launch that is still there. */
  left(): string[]
  close(): Promise<void>
}

export async function openOutside(script: Script): Promise<Outside> {
  const bench = await openBench({ script })
  chownSync(bench.workspace, SANDBOX_UID, 0)
  const engine = await openEngine().catch(async (error: unknown) => {
    await bench.close()
    throw error
  })
  const launchers = launchersOn(bench, {
    env: { DOCKER_HOST: engine.host },
    args: ['--image', TEST_IMAGE, '--engine', 'docker'],
  })
  return {
    ...launchers,
    engine,
    left: () =>
      [
        ...engine.docker('ps', '--all', '--quiet').split('\n'),
        ...engine.docker('volume', 'ls', '--quiet').split('\n'),
        ...engine.docker('network', 'ls', '--quiet', '--filter', 'label=agui-runner.run').split('\n'),
        ...readdirSync(bench.directory).filter((name) => name.startsWith('agui-launch-')),
      ].filter((name) => name !== ''),
    async close() {
      await engine.close()
      await bench.close()
    },
  }
}

/** @param given what every launch gets: options of the command, variables, another user. */
export function launchersOn(
  bench: Bench,
  given: { env?: Record<string, string>; args: readonly string[]; user?: OneOffStart['user'] },
): Launchers {
  const environment = {
    // A direct route with a real key.
    ...Object.fromEntries(Object.keys(bench.gateway.environment).map((name) => [name, ''])),
    ...{ ANTHROPIC_BASE_URL: bench.gateway.directUrl, ANTHROPIC_API_KEY: KEY, ...given.env },
  }
  const running = new Set<OneOffProcess>()
  const start = (args: readonly string[], options: OneOffStart = {}): OneOffProcess => {
    const isLaunch = !['sweep', 'gateway'].includes(options.command ?? '')
    const process = startOneOff(bench, isLaunch ? [...given.args, ...args] : args, {
      ...(given.user && { user: given.user }),
      ...options,
      env: { ...environment, ...options.env },
    })
    running.add(process)
    return process
  }
  return {
    bench,
    start,
    async run(args, options) {
      const started = start(args, options)
      const code = await started.exited
      return { code, stdout: started.stdout(), stderr: started.stderr() }
    },
    async stop() {
      for (const process of running) {
        if (process.child.exitCode === null && process.child.signalCode === null)
          process.child.kill('SIGTERM')
        await process.exited
      }
      running.clear()
    },
  }
}
