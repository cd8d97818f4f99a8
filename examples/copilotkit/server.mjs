// The page and CopilotKit's runtime, which is what speaks AG-UI with the runner: the token stays here.
import { fileURLToPath } from 'node:url'
import { HttpAgent } from '@ag-ui/client'
import { CopilotRuntime, createCopilotHonoHandler, InMemoryAgentRunner } from '@copilotkit/runtime/v2'
import { serve } from '@hono/node-server'
import { build } from 'esbuild'
import { Hono } from 'hono'

// biome-ignore lint/style/noProcessEnv: this file is all there is of this program
const { AGUI_URL = 'http://127.0.0.1:8001', AGUI_TOKEN, PORT = '3000' } = process.env
const headers = AGUI_TOKEN === undefined ? {} : { authorization: `Bearer ${AGUI_TOKEN}` }

const bundle = await build({
  entryPoints: [fileURLToPath(new URL('app.jsx', import.meta.url))],
  outdir: '/',
  write: false,
  bundle: true,
  minify: true,
  format: 'esm',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  loader: { '.woff': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
  logLevel: 'warning',
})
const files = new Map(bundle.outputFiles.map(({ path, contents }) => [path, contents]))
const types = { '/app.js': 'text/javascript', '/app.css': 'text/css' }
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>CopilotKit on agui-runner</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/app.css">
<div id="root" style="height: 95vh"></div><script type="module" src="/app.js"></script></html>`

const app = new Hono()

// CopilotKit's endpoint lets every origin in; behind it is an agent with a shell, so only this page may call.
app.use(async (context, next) => {
  const { host, origin = `http://${host}` } = context.req.header()
  const isLocal = /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host ?? '')
  if (!isLocal || origin !== `http://${host}`) return context.text('another page', 403)
  return await next()
})

app.get('/', (context) => context.html(PAGE))
for (const [path, type] of Object.entries(types))
  app.get(path, (context) => context.body(files.get(path), 200, { 'content-type': type }))

// A picture of a tool's result is text to CopilotKit, which says where the picture is.
const picture = async (context) => {
  const answer = await fetch(new URL(new URL(context.req.url).pathname, AGUI_URL), { headers })
  return context.body(answer.body, answer.status, {
    'content-type': answer.headers.get('content-type') ?? 'application/octet-stream',
    'content-security-policy': 'sandbox',
    'x-content-type-options': 'nosniff',
  })
}
app.get('/sessions/:thread/messages/:message/parts/:part', picture)
app.get('/sessions/:thread/blobs/:blob', picture)

const runtime = new CopilotRuntime({
  agents: { default: new HttpAgent({ url: AGUI_URL, headers }) },
  runner: new InMemoryAgentRunner(),
})
app.route('/', createCopilotHonoHandler({ runtime, basePath: '/api/copilotkit' }))

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(PORT) }, ({ port }) => {
  process.stdout.write(`http://127.0.0.1:${port}\n`)
})
