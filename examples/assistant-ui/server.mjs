// The page, and the way from it to the runner: the token stays here.
import { createServer, request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

// biome-ignore lint/style/noProcessEnv: this file is all there is of this program
const { AGUI_URL = 'http://127.0.0.1:8001', AGUI_TOKEN, PORT = '3000' } = process.env

const bundle = await build({
  entryPoints: [fileURLToPath(new URL('app.jsx', import.meta.url))],
  outdir: '/',
  write: false,
  bundle: true,
  minify: true,
  format: 'esm',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  logLevel: 'warning',
})
const script = bundle.outputFiles[0].contents
const PAGE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>assistant-ui on agui-runner</title>
<link rel="icon" href="data:,"><style>body { font: 16px system-ui; max-width: 46rem; margin: 2rem auto }
pre { white-space: pre-wrap; overflow-wrap: anywhere } textarea { width: 100% }</style>
<div id="root"></div><script type="module" src="/app.js"></script></html>`

const server = createServer((incoming, outgoing) => {
  if (incoming.url?.startsWith('/agent/')) return pass(incoming, outgoing)
  const path = incoming.url?.split('?')[0]
  if (path === '/') return outgoing.setHeader('content-type', 'text/html').end(PAGE)
  if (path === '/app.js') return outgoing.setHeader('content-type', 'text/javascript').end(script)
  outgoing.writeHead(404).end()
})

/** Host and Origin go on as they are, so that the runner judges who calls as if the page were its own. */
function pass(incoming, outgoing) {
  const headers = { ...incoming.headers }
  if (AGUI_TOKEN !== undefined) headers.authorization = `Bearer ${AGUI_TOKEN}`
  const target = new URL(incoming.url.slice('/agent'.length), AGUI_URL)
  const call = request(target, { method: incoming.method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers)
    answer.pipe(outgoing)
  })
  call.on('error', (error) => {
    if (outgoing.headersSent) outgoing.destroy()
    else outgoing.writeHead(502).end(error.message)
  })
  // A page that closes its stream has pressed Stop: the runner has to see it too.
  outgoing.on('close', () => call.destroy())
  incoming.pipe(call)
}

server.listen(Number(PORT), '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${server.address().port}\n`)
})
