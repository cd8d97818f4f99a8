// Makes `dist` of the server: ES modules with shared chunks (docs/decisions/2026-11-21-dist-is-a-bundle.md).
// Usage: node src/bundle.mjs --outdir=FOLDER [--metafile=FILE]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

/** Modules that every start would read, compile and run, and that nothing ever calls; and what stands for each. */
const UNUSED = {
  // An import of `z` keeps all that is in it, with the words of fifty languages. Nobody asks for one.
  'zod/v4/locales/index.js': "export { default as en } from './en.js'",
  // Streams of its own, for `injectWS` of @fastify/websocket alone.
  'duplexify/index.js': "module.exports = () => { throw new TypeError('duplexify is not in the bundle') }",
}

/**
 * What the Agent SDK's `createSdkMcpServer` is made of, with a validator of JSON Schemas: the first run would load it. Nobody calls
 * that function; `src/claude/host` makes its servers itself.
 */
const UNUSED_OF_SDK = {
  by: '/node_modules/@anthropic-ai/claude-agent-sdk/',
  filter: /^@modelcontextprotocol\/sdk\//,
}

const withoutUnused = {
  name: 'without-unused',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: UNUSED_OF_SDK.filter }, ({ importer, path }) =>
      importer.includes(UNUSED_OF_SDK.by) ? { path, namespace: 'unused' } : undefined,
    )
    onLoad({ filter: /^/, namespace: 'unused' }, () => ({ contents: 'module.exports = {}' }))
    for (const [path, contents] of Object.entries(UNUSED))
      onLoad({ filter: new RegExp(`/node_modules/${path.replaceAll('.', '\\.')}$`) }, () => ({ contents }))
  },
}

const { values } = parseArgs({ options: { outdir: { type: 'string' }, metafile: { type: 'string' } } })

const { metafile } = await build({
  entryPoints: ['src/main.ts'],
  outdir: values.outdir,
  metafile: true,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.20',
  chunkNames: '[name]-[hash]',
  minifyWhitespace: true,
  minifySyntax: true,
  external: [
    'pino-pretty',
    '@fastify/ajv-compiler',
    '@fastify/fast-json-stringify-compiler',
    'light-my-request',
  ],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  plugins: [withoutUnused],
  logLevel: 'warning',
})
if (values.metafile !== undefined) writeFileSync(values.metafile, JSON.stringify(metafile))
