import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { toMessage } from '../errors.ts'
import { MockError } from '../mock/mock-error.ts'
import { type MockGateway, startMockGateway } from '../mock/mock-gateway.ts'
import { type ParsedScript, parseScript } from '../mock/script.ts'
import { toWholeNumber } from '../whole-number.ts'

const PORT_MAX = 65_535

interface Options {
  port: number
  script?: string
  model?: string
  json?: true
}

/** `agui-runner mock-gateway`: only the imitation of OpenShell's edge, until SIGTERM or SIGINT. */
export function mockGatewayCommand(): Command {
  return new Command('mock-gateway')
    .description('Start an imitation of the OpenShell gateway that answers by script')
    .option('--port <n>', 'port on 127.0.0.1; 0 picks a free one', parsePort, 0)
    .option('--script <file>', 'what to answer, YAML or JSON (docs/mock-gateway.md); default: a demo')
    .option('--model <name>', 'the one model the gateway writes into every request')
    .option('--json', 'print one line of JSON')
    .action(runMockGateway)
}

async function runMockGateway(options: Options): Promise<void> {
  const script = options.script === undefined ? undefined : await readScript(options.script)
  const directory = await mkdtemp(join(tmpdir(), 'agui-runner-mock-'))
  const stopped = new AbortController()
  const stop = (): void => stopped.abort()
  process.once('SIGTERM', stop).once('SIGINT', stop)
  try {
    const gateway = await startMockGateway({ port: options.port, directory, script, model: options.model })
    process.stdout.write(options.json === true ? toJson(gateway) : toText(gateway))
    if (!stopped.signal.aborted) await once(stopped.signal, 'abort')
    await gateway.close()
  } finally {
    process.off('SIGTERM', stop).off('SIGINT', stop)
    await rm(directory, { recursive: true, force: true })
  }
}

async function readScript(file: string): Promise<ParsedScript> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const message = `Cannot read the script ${file}: ${toMessage(error)}`
    throw new MockError(message, { cause: error })
  })
  return parseScript(text, file)
}

function toJson(gateway: MockGateway): string {
  const { port, proxyUrl, directUrl, caFile, caBundleFile, environment } = gateway
  return `${JSON.stringify({ port, proxyUrl, directUrl, caFile, caBundleFile, environment })}\n`
}

function toText(gateway: MockGateway): string {
  return [
    `Proxy      ${gateway.proxyUrl}   (CONNECT inference.local:443)`,
    `Direct     ${gateway.directUrl}   (ANTHROPIC_BASE_URL without a gateway)`,
    `CA         ${gateway.caFile}`,
    `CA bundle  ${gateway.caBundleFile}`,
    '',
    ...Object.entries(gateway.environment).map(([name, value]) => `export ${name}='${value}'`),
    '',
  ].join('\n')
}

function parsePort(text: string): number {
  const port = toWholeNumber(text, { max: PORT_MAX })
  if (port === undefined) throw new InvalidArgumentError(`a whole number from 0 to ${PORT_MAX}`)
  return port
}
