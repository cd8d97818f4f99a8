// The import graph of src/ is a table. A folder may import itself and the folders on its row; nothing else.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const LINES_MAX = 400

const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  channels: [],
  config: ['errors'],
  'package-directory': [],
  within: [],
  agui: ['errors'],
  policy: ['errors'],
  gateway: ['errors', 'within'],
  workspace: ['errors', 'within'],
  enforcement: ['policy', 'errors', 'within'],
  mock: ['errors', 'policy'],
  log: ['agui', 'channels', 'errors'],
  claude: ['agui', 'gateway', 'channels', 'errors'],
  redaction: ['agui', 'errors'],
  session: ['agui', 'log', 'redaction', 'channels', 'errors', 'within'],
  http: [
    'agui',
    'session',
    'log',
    'redaction',
    'workspace',
    'channels',
    'errors',
    'package-directory',
    'within',
  ],
  telemetry: ['channels', 'errors'],
  runner: [
    'config',
    'agui',
    'claude',
    'session',
    'log',
    'http',
    'redaction',
    'telemetry',
    'gateway',
    'enforcement',
    'policy',
    'workspace',
    'errors',
  ],
  cli: [
    'agui',
    'config',
    'runner',
    'claude',
    'mock',
    'policy',
    'gateway',
    'telemetry',
    'enforcement',
    'redaction',
    'errors',
    'package-directory',
  ],
  main: ['cli', 'errors', 'package-directory'],
}

/** A package named here is reached from these layers only; every other package from anywhere. */
const PACKAGE_ONLY_IN: Record<string, readonly string[]> = {
  fastify: ['http'],
  '@fastify/websocket': ['http'],
  '@anthropic-ai/claude-agent-sdk': ['claude'],
  lmdb: ['log'],
  ws: ['enforcement'],
  'prom-client': ['telemetry'],
  pino: ['telemetry'],
  'node:child_process': ['claude', 'gateway', 'workspace', 'enforcement', 'cli'],
}

/** Compiled and served for the page; the rest of src/ runs in Node. */
const BROWSER = 'src/http/console/browser/'

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join('src', name))

const layerOf = (file: string): string => relative('src', file).replace(/\.ts$/, '').split('/')[0] ?? ''

const SPECIFIER = /\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g

const importsOf = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(SPECIFIER)].map((match) => match[1] ?? '')

test('the scan sees the tree and its imports', () => {
  expect(files.length).toBeGreaterThan(25)
  expect(files.flatMap(importsOf).length).toBeGreaterThan(60)
})

test.each(files)('%s imports only the layers on its row', (file) => {
  const allowed = MAY_IMPORT[layerOf(file)]
  expect(allowed, `${file} is in no known layer`).toBeDefined()
  const illegal = importsOf(file)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => layerOf(join(dirname(file), specifier)))
    .filter((to) => to !== layerOf(file) && !allowed?.includes(to))
  expect(illegal).toEqual([])
})

test.each(files)('%s reaches packages only where the table says so', (file) => {
  const illegal = importsOf(file).filter(
    (specifier) => PACKAGE_ONLY_IN[specifier]?.includes(layerOf(file)) === false,
  )
  expect(illegal).toEqual([])
})

test.each(files)('%s stays under the line limit', (file) => {
  expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThanOrEqual(LINES_MAX)
})

test.each(files.filter((file) => file.startsWith(BROWSER)))(
  '%s runs in a browser: it imports its like only',
  (file) => {
    const foreign = importsOf(file).filter((specifier) => !/^\.\/[\w-]+\.ts$/.test(specifier))
    expect(foreign).toEqual([])
  },
)

test.each(files.filter((file) => !file.startsWith(BROWSER)))(
  '%s imports nothing that needs a browser',
  (file) => {
    const places = importsOf(file).map((specifier) => join(dirname(file), specifier))
    expect(places.filter((place) => place.startsWith(BROWSER))).toEqual([])
  },
)

test('the table itself has no cycle', () => {
  const visit = (layer: string, path: readonly string[]): void => {
    expect(path, `cycle: ${[...path, layer].join(' > ')}`).not.toContain(layer)
    for (const next of MAY_IMPORT[layer] ?? []) visit(next, [...path, layer])
  }
  for (const layer of Object.keys(MAY_IMPORT)) visit(layer, [])
})

test.each(files.filter((file) => !file.startsWith(BROWSER) && file !== 'src/within.ts'))(
  '%s joins signals by within(), for AbortSignal.any loses aborts to the garbage collector',
  (file) => {
    expect(readFileSync(file, 'utf8')).not.toContain('AbortSignal.any')
  },
)
