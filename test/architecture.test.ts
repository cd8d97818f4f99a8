// The import graph of src/ is a table. Each row is a room, that is a folder, or a file that stands in src/ itself.
// A row names exactly the rooms that its files import: one too many fails as one too few does.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const LINES_MAX = 400
/** Above it a file is named in docs/architecture.md, with the reason. */
const LINES_EXPLAINED = 300

const IMPORTS: Record<string, readonly string[]> = {
  errors: [],
  errno: [],
  channels: ['agent', 'agui'],
  'awake-timer': [],
  within: ['awake-timer'],
  lease: [],
  'process-table': [],
  background: ['channels'],
  'package-directory': [],
  callers: [],
  'whole-number': [],
  'repository-name': [],
  'exact-image': [],
  printable: [],
  json: [],
  'absent-null': ['json'],
  'model-name': [],
  'timer-limit': [],
  'config-fields': ['timer-limit', 'whole-number'],
  'no-workspace': [],
  'config-otlp': ['config-fields'],
  'link-settings': ['config-fields', 'tunnel', 'whole-number'],
  config: [
    'callers',
    'config-fields',
    'config-otlp',
    'errors',
    'json',
    'link-settings',
    'model-name',
    'no-workspace',
  ],
  'proxy-settings': ['errors'],
  agui: ['absent-null', 'errors', 'json', 'whole-number'],
  agent: ['agui', 'errors'],
  'policy/request': [],
  'policy/match': [],
  'policy/read': ['policy/match', 'policy/request'],
  'policy/decide': ['policy/match', 'policy/read', 'policy/request'],
  'model-route': ['errno', 'errors', 'proxy-settings', 'within'],
  workspace: ['errno', 'errors', 'json', 'proxy-settings', 'within'],
  broker: [
    'awake-timer',
    'errno',
    'errors',
    'github-app',
    'json',
    'model-route',
    'policy/decide',
    'policy/read',
    'policy/request',
    'process-table',
    'proxy-settings',
    'repository-name',
    'sandbox/egress',
    'tunnel',
    'within',
  ],
  'github-app': ['errors', 'repository-name'],
  redaction: ['agui', 'errors', 'json'],
  storage: ['agui', 'errors'],
  'storage/lmdb': ['agui', 'errno', 'errors', 'storage'],
  'storage/redis': ['errors', 'json', 'storage', 'whole-number', 'within'],
  'claude/process': [
    'agent',
    'awake-timer',
    'background',
    'channels',
    'errno',
    'errors',
    'json',
    'lease',
    'process-table',
    'within',
  ],
  'claude/launch': ['absent-null', 'errno', 'errors', 'json', 'model-name'],
  'claude/translate': ['agent', 'agui', 'claude/process', 'errors', 'json'],
  'claude/host': ['absent-null', 'agent', 'agui', 'claude/translate', 'errors', 'json'],
  claude: [
    'agent',
    'agui',
    'awake-timer',
    'background',
    'channels',
    'claude/host',
    'claude/launch',
    'claude/process',
    'claude/translate',
    'errors',
    'json',
    'lease',
    'within',
    'workspace',
  ],
  thread: [
    'absent-null',
    'agent',
    'agui',
    'awake-timer',
    'background',
    'channels',
    'errors',
    'json',
    'redaction',
    'storage',
    'within',
  ],
  tunnel: [],
  'sandbox/bwrap': ['errno', 'errors', 'policy/decide', 'policy/read', 'process-table', 'sandbox/egress'],
  'sandbox/egress': ['policy/decide', 'policy/read', 'policy/request', 'proxy-settings', 'tunnel', 'within'],
  sandbox: [
    'errors',
    'policy/decide',
    'policy/read',
    'process-table',
    'proxy-settings',
    'sandbox/bwrap',
    'sandbox/egress',
    'tunnel',
  ],
  mock: ['tunnel'],
  devcontainer: [
    'claude/launch',
    'errno',
    'errors',
    'exact-image',
    'model-route',
    'policy/decide',
    'policy/read',
    'policy/request',
    'sandbox/egress',
    'within',
  ],
  page: [],
  console: ['errors', 'package-directory', 'page'],
  'console/browser': ['console/browser/state', 'console/browser/view'],
  'console/browser/model': ['agui', 'json'],
  'console/browser/runner': ['console/browser/model'],
  'console/browser/state': ['console/browser/model', 'console/browser/runner'],
  'console/browser/view': ['console/browser/model', 'console/browser/runner', 'console/browser/state'],
  'http/doors': ['absent-null', 'agent', 'errors', 'json', 'redaction', 'thread'],
  'http/document': ['agui', 'errors', 'json', 'package-directory', 'page'],
  'http/stream': ['agui', 'background', 'channels', 'errors', 'lease', 'storage', 'thread'],
  'http/platform': [
    'agent',
    'config-fields',
    'errors',
    'http/document',
    'http/doors',
    'http/stream',
    'redaction',
    'storage',
    'thread',
    'workspace',
  ],
  'http/routes': [
    'agent',
    'agui',
    'background',
    'console',
    'errors',
    'http/document',
    'http/doors',
    'http/stream',
    'json',
    'lease',
    'model-name',
    'page',
    'redaction',
    'storage',
    'thread',
    'whole-number',
    'within',
  ],
  http: ['channels', 'errno', 'errors', 'http/document', 'http/doors', 'http/platform', 'http/routes'],
  telemetry: ['agent', 'agui', 'channels'],
  grpc: ['errors', 'proxy-settings', 'tunnel'],
  openshell: ['errors', 'grpc', 'json', 'policy/read', 'proxy-settings', 'tunnel', 'within'],
  'platform-link': [
    'agui',
    'awake-timer',
    'background',
    'channels',
    'errors',
    'grpc',
    'link-settings',
    'model-route',
    'proxy-settings',
    'redaction',
    'storage',
    'telemetry',
    'thread',
    'tunnel',
    'within',
    'workspace',
  ],
  runner: [
    'agent',
    'background',
    'broker',
    'channels',
    'claude',
    'claude/launch',
    'claude/process',
    'config',
    'errno',
    'errors',
    'http',
    'http/platform',
    'http/routes',
    'http/stream',
    'model-route',
    'platform-link',
    'proxy-settings',
    'redaction',
    'sandbox',
    'storage',
    'storage/lmdb',
    'storage/redis',
    'telemetry',
    'thread',
    'workspace',
  ],
  'one-off': ['agui', 'errno', 'errors', 'printable'],
  launch: [
    'config',
    'errno',
    'errors',
    'exact-image',
    'json',
    'process-table',
    'repository-name',
    'sandbox/bwrap',
    'sandbox/egress',
    'within',
  ],
  ci: ['errors', 'exact-image', 'json', 'redaction', 'repository-name', 'whole-number', 'workspace'],
  cli: [
    'agent',
    'agui',
    'broker',
    'ci',
    'claude/launch',
    'claude/process',
    'config',
    'devcontainer',
    'errno',
    'errors',
    'exact-image',
    'github-app',
    'launch',
    'mock',
    'model-route',
    'one-off',
    'openshell',
    'package-directory',
    'platform-link',
    'policy/decide',
    'policy/read',
    'printable',
    'proxy-settings',
    'redaction',
    'repository-name',
    'runner',
    'sandbox',
    'telemetry',
    'timer-limit',
    'tunnel',
    'whole-number',
    'workspace',
  ],
  main: ['cli', 'errors', 'package-directory', 'printable'],
}

/** A package named here is reached from these layers only; every other package from anywhere. */
const PACKAGE_ONLY_IN: Record<string, readonly string[]> = {
  fastify: ['http', 'page', 'broker'],
  '@fastify/websocket': ['http'],
  '@anthropic-ai/claude-agent-sdk': ['claude'],
  ioredis: ['storage'],
  lmdb: ['storage'],
  ws: ['sandbox'],
  '@grpc/grpc-js': ['grpc', 'openshell', 'platform-link'],
  '@grpc/proto-loader': ['grpc'],
  'prom-client': ['telemetry'],
  '@opentelemetry/api': ['telemetry'],
  pino: ['telemetry'],
  'node:child_process': [
    'claude',
    'model-route',
    'workspace',
    'sandbox',
    'storage',
    'cli',
    'launch',
    'openshell',
    'devcontainer',
  ],
}

/** Compiled and served for the page; the rest of src/ runs in Node. */
const BROWSER = 'src/console/browser/'

const CLIENT = 'packages/client/src'
/** What the client package stands on; its agent is an entry of its own, for who has these. */
const CLIENT_PACKAGES = ['@ag-ui/core', 'eventsource-parser']
const CLIENT_AGENT_PACKAGES = ['@ag-ui/client', 'rxjs']

const clientFiles = readdirSync(CLIENT).map((name) => join(CLIENT, name))

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.tsx?$/.test(name))
  .map((name) => join('src', name))

const roomOf = (file: string): string => {
  const folder = relative('src', dirname(file))
  return folder === '' ? relative('src', file).replace(/\.ts$/, '') : folder
}

const layerOf = (file: string): string => roomOf(file).split('/')[0] ?? ''

const SPECIFIER = /\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g

const importsOf = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(SPECIFIER)].map((match) => match[1] ?? '')

test('the scan sees the tree and its imports', () => {
  expect(files.length).toBeGreaterThan(25)
  expect(files.flatMap(importsOf).length).toBeGreaterThan(60)
})

/** Of every file, the files beside it that it imports, types included. */
const graphOf = (all: readonly string[]): Map<string, string[]> =>
  new Map(
    all.map((file) => [
      file,
      importsOf(file)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => join(dirname(file), specifier)),
    ]),
  )

const graph = graphOf(files)

/** The same graph between groups of files; what a group imports of itself is left out. */
function graphBetween(groupOf: (file: string) => string): Map<string, string[]> {
  const groups = new Map<string, Set<string>>()
  for (const [file, imported] of graph) {
    const from = groupOf(file)
    const to = groups.get(from) ?? new Set()
    groups.set(from, to)
    for (const other of imported) if (groupOf(other) !== from) to.add(groupOf(other))
  }
  return new Map([...groups].map(([group, to]) => [group, [...to].sort()]))
}

/** One circle as the path that closes it; undefined where there is none. */
function circleIn(groups: ReadonlyMap<string, readonly string[]>): string | undefined {
  const done = new Set<string>()
  const visit = (group: string, path: readonly string[]): string | undefined => {
    if (path.includes(group)) return [...path.slice(path.indexOf(group)), group].join(' > ')
    if (done.has(group)) return undefined
    for (const next of groups.get(group) ?? []) {
      const found = visit(next, [...path, group])
      if (found !== undefined) return found
    }
    done.add(group)
    return undefined
  }
  return [...groups.keys()].map((group) => visit(group, [])).find((found) => found !== undefined)
}

test('every room imports exactly the rooms on its row', () => {
  expect(Object.fromEntries(graphBetween(roomOf))).toEqual(IMPORTS)
})

test.each(['storage/lmdb', 'storage/redis'])('%s is known to the composition root only', (backend) => {
  const users = Object.keys(IMPORTS).filter((room) => IMPORTS[room]?.includes(backend))
  expect(users).toEqual(['runner'])
})

test('neither layers nor rooms go in circles', () => {
  expect(circleIn(graphBetween(layerOf))).toBeUndefined()
  expect(circleIn(graphBetween(roomOf))).toBeUndefined()
})

test('no files go in circles, types included', () => {
  expect(circleIn(graph)).toBeUndefined()
  expect(circleIn(graphOf(clientFiles))).toBeUndefined()
})

test.each(files)('%s reaches packages only where the table says so', (file) => {
  const illegal = importsOf(file).filter(
    (specifier) => PACKAGE_ONLY_IN[specifier]?.includes(layerOf(file)) === false,
  )
  expect(illegal).toEqual([])
})

test.each([...files, ...clientFiles])('%s stays under the line limit', (file) => {
  expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThanOrEqual(LINES_MAX)
})

test('docs/architecture.md names the long files, each with its reason, and no other', () => {
  const isLong = (file: string): boolean =>
    readFileSync(file, 'utf8').trimEnd().split('\n').length > LINES_EXPLAINED
  const [, section = ''] = readFileSync('docs/architecture.md', 'utf8').split('\n## Long files\n')
  const named = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| `(.+)` \| \S.* \|$/gm)].map(
    ([, name]) => `src/${name}`,
  )
  expect(named).toEqual(files.filter(isLong).sort())
})

test('docs/architecture.md has a row for each folder', () => {
  const [, section = ''] = readFileSync('docs/architecture.md', 'utf8').split('\n## Rooms\n')
  const [rooms = ''] = section.split('\n## ')
  const folders = [...new Set(files.filter((file) => dirname(file) !== 'src').map(layerOf))]
  expect(folders.filter((folder) => !rooms.includes(`\`${folder}/\``))).toEqual([])
})

/** What the console stands on beside the client: each costs bytes that every visitor loads. */
const BROWSER_PACKAGES =
  /^(?:@agui-runner\/client|@ag-ui\/core|preact(?:\/hooks)?|mdast|mdast-util-[\w-]+|micromark-extension-gfm|lowlight|highlight\.js\/lib\/languages\/\w+|diff)$/

test.each(files.filter((file) => file.startsWith(BROWSER)))(
  '%s runs in a browser: it imports its like, what needs no Node and the packages of the console only',
  (file) => {
    const foreign = importsOf(file).filter((specifier) => {
      if (!specifier.startsWith('.')) return !BROWSER_PACKAGES.test(specifier)
      const place = join(dirname(file), specifier)
      return !place.startsWith(BROWSER) && !['src/agui/items.ts', 'src/json.ts'].includes(place)
    })
    expect(foreign).toEqual([])
  },
)

test.each(clientFiles)('%s runs everywhere: it imports its like and what the package stands on', (file) => {
  const packages = file.endsWith('/agent.ts') ? CLIENT_AGENT_PACKAGES : CLIENT_PACKAGES
  const foreign = importsOf(file).filter(
    (specifier) => !packages.includes(specifier) && !/^\.\/[\w-]+\.ts$/.test(specifier),
  )
  expect(foreign).toEqual([])
})

test.each(files.filter((file) => !file.startsWith(BROWSER)))(
  '%s imports nothing that needs a browser',
  (file) => {
    const places = importsOf(file).map((specifier) => join(dirname(file), specifier))
    expect(places.filter((place) => place.startsWith(BROWSER))).toEqual([])
  },
)

const JOINING = [...files, ...clientFiles].filter(
  (file) => !file.startsWith(BROWSER) && file !== 'src/within.ts',
)

test.each(JOINING)(
  '%s joins signals by within(), for AbortSignal.any loses aborts to the garbage collector',
  (file) => {
    expect(readFileSync(file, 'utf8')).not.toContain('AbortSignal.any')
  },
)

const NEUTRAL = ['src/agent/', 'src/agui/', 'src/thread/', 'src/http/', 'src/storage/']

test.each(files.filter((file) => NEUTRAL.some((folder) => file.startsWith(folder))))(
  '%s says nothing of the one agent that there is: it knows the port',
  (file) => {
    // The name that clients have known the session id by since the first version.
    const words = readFileSync(file, 'utf8').replaceAll('claudeSessionId', '')
    expect(words.match(/.*claude.*/gi) ?? []).toEqual([])
  },
)

const SERVING = ['src/thread/', 'src/claude/', 'src/http/', 'src/runner/', 'src/cli/']

test.each(files.filter((file) => SERVING.some((folder) => file.startsWith(folder))))(
  '%s gives what it does not await to inBackground(), which tells of a failure',
  (file) => {
    expect(readFileSync(file, 'utf8')).not.toMatch(/\bvoid (this|[\w#]+)\??\./)
  },
)

test('no two exported names are alike', () => {
  const exported = files.flatMap((file) => {
    const source = readFileSync(file, 'utf8')
    const names = [...source.matchAll(/^export (?:async )?(?:function|class|interface|type|const) (\w+)/gm)]
    // A schema and its type are one name.
    return [...new Set(names.map(([, name]) => name))]
  })
  const alike = exported.filter((name, index) => exported.indexOf(name) !== index)
  expect(alike).toEqual([])
})

/** A route, a command or the composition of something has its name, in a room of its own. Everything else has one name. */
const NAMED_AFTER = [
  'src/http/routes/',
  'src/http/platform/',
  'src/cli/',
  'src/runner/',
  'src/console/browser/',
]

test('no two files are named alike, but for one that is named after what it serves', () => {
  const own = files.filter((file) => !NAMED_AFTER.some((folder) => file.startsWith(folder)))
  const alike = own.filter((file) =>
    own.some((other) => other !== file && basename(other) === basename(file)),
  )
  expect(alike).toEqual([])
})

/** Left out of the bundle: Node itself loads them. */
const EXTERNAL = new Set(['lmdb', 'pino-pretty'])

test('a package that is loaded on demand is an ES module: the bundle has of any other its default alone', () => {
  const wrong = files.flatMap((file) =>
    [
      ...readFileSync(file, 'utf8').matchAll(
        /(?<!typeof )\bimport\('(?!node:)((?:@[\w-]+\/)?[\w-]+)[^']*'\)/g,
      ),
    ].flatMap(([, name = '']) => {
      if (EXTERNAL.has(name)) return []
      const { type } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8'))
      return type === 'module' ? [] : [`${file}: ${name}`]
    }),
  )
  expect(wrong).toEqual([])
})
