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

/** Each is loaded while the server listens already and answers /health. */
const WHILE_LISTENING = [
  ...['fastify', '@fastify/websocket', '@fastify/cors', 'lmdb', '@ag-ui/core', 'ws', 'yaml', 'prom-client'],
  ...['src/runner/create.ts', 'src/http/server.ts', 'src/http/routes', 'src/thread', 'src/claude'],
  ...['src/policy', 'src/sandbox', 'src/storage', 'src/redaction'],
]

const Metafile = z.object({
  outputs: z.record(
    z.string(),
    z.object({
      entryPoint: z.string().optional(),
      imports: z.array(z.object({ path: z.string(), kind: z.string() })),
      inputs: z.record(z.string(), z.object({ bytesInOutput: z.number() })),
    }),
  ),
})
type Outputs = z.infer<typeof Metafile>['outputs']

const bench = await openBench()
const outputs = bundle(bench.directory)
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
  const inputs = new Map(
    Object.entries(outputs).map(([file, { inputs }]) => [basename(file), namesOf(inputs)]),
  )
  const loaded = urls.flatMap((url) => inputs.get(basename(url)) ?? [url])

  // Without these the list would be of something else.
  expect(loaded.some((path) => path.includes('/fastify/'))).toBe(true)
  expect(loaded.some((path) => path.includes('src/runner/create.ts'))).toBe(true)
  expect(LATER.filter(isIn(loaded))).toEqual([])
})

test('a server listens with little more than its configuration', () => {
  const entries = ['src/main.ts', 'src/cli/serve.ts'].flatMap((entry) =>
    Object.keys(outputs).filter((file) => outputs[file]?.entryPoint === entry),
  )
  expect(entries).toHaveLength(2)
  const before = [...withImports(entries)].flatMap((file) => namesOf(outputs[file]?.inputs ?? {}))
  for (const needed of ['src/http/listener.ts', 'src/config.ts', 'zod', 'pino'])
    expect([needed].filter(isIn(before))).toEqual([needed])
  expect(WHILE_LISTENING.filter(isIn(before))).toEqual([])
})

test('the first run loads of the SDK what drives Claude Code, and no tool server', () => {
  const sdk = Object.keys(outputs).filter((file) =>
    outputs[file]?.entryPoint?.endsWith('claude-agent-sdk/core.mjs'),
  )
  const loaded = [...withImports(sdk)].flatMap((file) => namesOf(outputs[file]?.inputs ?? {}))
  expect(['@anthropic-ai/claude-agent-sdk', 'zod'].filter(isIn(loaded))).toHaveLength(2)
  expect(['@modelcontextprotocol/sdk', 'ajv', 'zod/v3'].filter(isIn(loaded))).toEqual([])
})

/** Whether one of these files is the named one, or of the named package or folder. */
function isIn(paths: readonly string[]) {
  return (name: string): boolean => {
    const part = name.startsWith('src/') ? name : `node_modules/${name}`
    return paths.some((path) => path.includes(`${part}/`) || path.endsWith(part))
  }
}

/** The names of what is in a file of the bundle. */
function namesOf(inputs: Outputs[string]['inputs']): string[] {
  return Object.keys(inputs).filter((input) => (inputs[input]?.bytesInOutput ?? 0) > 0)
}

/** These files of the bundle, and all that they cannot be loaded without. */
function withImports(files: readonly string[], found = new Set<string>()): Set<string> {
  for (const file of files) {
    if (found.has(file)) continue
    found.add(file)
    const needed = (outputs[file]?.imports ?? []).filter(({ kind }) => kind === 'import-statement')
    withImports(
      needed.map(({ path }) => path).filter((path) => path in outputs),
      found,
    )
  }
  return found
}

/** The files of the bundle. Their names come of their content, so that they are those of what runs. */
function bundle(directory: string): Outputs {
  const metafile = join(directory, 'bundle.json')
  const words = [`--outdir=${join(directory, 'bundle')}`, `--metafile=${metafile}`]
  execFileSync('npm', ['run', '--silent', 'bundle', '--', ...words])
  return Metafile.parse(JSON.parse(readFileSync(metafile, 'utf8'))).outputs
}
