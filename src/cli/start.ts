import { join } from 'node:path'
import { PROTOCOL_VERSION } from '@ag-ui/core'
import { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { startMockGateway } from '../mock/mock-gateway.ts'
import { detectRoute } from '../model-route/route.ts'
import { decideEgress } from '../policy/decide/egress.ts'
import { loadPolicy } from '../policy/read/load.ts'
import type { CliContext } from './context.ts'
import { credentialFileOption, withCredentialFile } from './credential-file.ts'
import { serve } from './serve.ts'

const DETECT_MS = 10_000

/** `npm start`: the runner on the model route that the environment names, else on a mock gateway of its own. */
export function startCommand(context: CliContext): Command {
  return new Command('start')
    .description('Serve, with a mock gateway when the environment names no model route')
    .option('--mock', 'use the mock gateway whatever the environment says')
    .addOption(credentialFileOption())
    .action(async ({ mock: isMock, credentialFile }: { mock?: boolean; credentialFile?: string }) => {
      const env = withCredentialFile(context.env, credentialFile)
      const config = loadConfig(env, context)
      // npm stands between the terminal and this process, and does not pass on every signal.
      const isTiedToParent = env['npm_lifecycle_event'] === 'start'
      const { wrappersDirectory } = config
      const route = await detectRoute({ env, wrappersDirectory, signal: AbortSignal.timeout(DETECT_MS) })
      if (isMock !== true && route.kind !== 'none') {
        const onListening = (url: string): void => greet(url, route.kind)
        await serve({ ...context, env, credentialFile, isMock: false, isTiedToParent, onListening })
        return
      }
      const policy = await loadPolicy(config.policyFile)
      const mock = await startMockGateway({
        directory: join(config.stateDirectory, 'mock-gateway'),
        decide: ({ host, port }) => {
          // The edge does not know which binary connects, so any binary that a rule lists counts.
          const { verdict, reason } = decideEgress(policy, { host, port })
          return { allow: verdict !== 'deny', reason }
        },
      })
      await serve({
        ...context,
        env: { ...env, ...mock.environment },
        isMock: true,
        isTiedToParent,
        onListening: (url) => greet(url, 'mock gateway, no key, no network'),
      })
    })
}

function greet(url: string, route: string): void {
  const body = JSON.stringify({
    protocolVersion: PROTOCOL_VERSION,
    threadId: 'demo',
    runId: 'run-1',
    messages: [
      { id: 'm1', role: 'user', content: 'Think, write a file hello.txt, run a command, then answer.' },
    ],
  })
  process.stderr.write(
    `\nClaude Code is an AG-UI agent at ${url} (model route: ${route}). Open it in a browser, or try:\n\n` +
      `curl -N ${url} -H 'content-type: application/json' -d '${body}'\n\n`,
  )
}
