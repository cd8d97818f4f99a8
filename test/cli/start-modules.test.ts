// What an idle server has loaded: it starts as fast, and is as small, as the modules it needs to answer /health.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { openBench } from '../support/runner.ts'

/** Each has a first use, and is loaded with it. */
const LATER = [
  ...['@anthropic-ai/claude-agent-sdk', '@anthropic-ai/sdk', '@modelcontextprotocol/sdk'],
  ...['undici', 'ioredis', 'google-auth-library', '@aws-sdk/credential-provider-node', 'graphql'],
  ...['ajv', '@fastify/ajv-compiler', 'fast-json-stringify/index.js', 'light-my-request'],
  ...['pino-pretty', '@opentelemetry/api', '@ag-ui/encoder', 'lmdb/node-index.js'],
  ...['zod/v4/locales/de.js', 'readable-stream'],
  ...['src/broker', 'src/console', 'src/launch', 'src/mock', 'src/one-off', 'src/storage/redis'],
  ...['src/sandbox/bwrap-sandbox.ts', 'src/sandbox/egress', 'src/policy/request'],
]

/** Prints the scripts that this process has parsed, as a line of the log. */
const ON_SIGNAL = `
  process.once('SIGUSR2', () => {
    const session = new (require('node:inspector').Session)()
    const urls = []
    session.connect()
    session.on('Debugger.scriptParsed', ({ params }) => urls.push(params.url))
    session.post('Debugger.enable', () => console.log(JSON.stringify({ msg: 'scripts', urls })))
  })
`

const Metafile = z.object({
  outputs: z.record(
    z.string(),
    z.object({ inputs: z.record(z.string(), z.object({ bytesInOutput: z.number() })) }),
  ),
})

const bench = await openBench()
afterAll(() => bench.close())

test('a server that has answered /health has loaded nothing that has its own first use', async () => {
  const preload = join(bench.directory, 'on-signal.cjs')
  writeFileSync(preload, ON_SIGNAL)
  const runner = await bench.start({ NODE_OPTIONS: `--require ${preload}` })
  expect((await fetch(`${runner.url}/health`)).status).toBe(200)
  process.kill(runner.pid, 'SIGUSR2')
  const { urls } = z
    .object({ urls: z.array(z.string()) })
    .parse(await runner.line(({ msg }) => msg === 'scripts'))
  const inputs = bundledInputs(bench.directory)
  const loaded = urls.flatMap((url) => inputs.get(basename(url)) ?? [url])

  // Without these the list would be of something else.
  expect(loaded.some((path) => path.includes('/fastify/'))).toBe(true)
  expect(loaded.some((path) => path.includes('src/runner/create.ts'))).toBe(true)
  const tooEarly = LATER.filter((name) => {
    const part = name.startsWith('src/') ? name : `node_modules/${name}`
    return loaded.some((path) => path.includes(`${part}/`) || path.endsWith(part))
  })
  expect(tooEarly).toEqual([])
})

/** What each file of the bundle is made of. Its names come of its content, so that they are those of what runs. */
function bundledInputs(directory: string): Map<string, string[]> {
  const metafile = join(directory, 'bundle.json')
  const words = [`--outdir=${join(directory, 'bundle')}`, `--metafile=${metafile}`]
  execFileSync('npm', ['run', '--silent', 'bundle', '--', ...words])
  const { outputs } = Metafile.parse(JSON.parse(readFileSync(metafile, 'utf8')))
  return new Map(
    Object.entries(outputs).map(([file, { inputs }]) => [
      basename(file),
      Object.keys(inputs).filter((input) => (inputs[input]?.bytesInOutput ?? 0) > 0),
    ]),
  )
}
