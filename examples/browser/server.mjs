// Hands out the page and nothing else: the page talks to the runner itself, from this origin.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

// biome-ignore lint/style/noProcessEnv: this file is all there is of this program
const { AGUI_URL = 'http://127.0.0.1:8001', PORT = '3000' } = process.env

const bundle = await build({
  entryPoints: [fileURLToPath(new URL('page.js', import.meta.url))],
  write: false,
  bundle: true,
  minify: true,
  format: 'esm',
  define: { AGUI_URL: JSON.stringify(AGUI_URL) },
  logLevel: 'warning',
})
const files = new Map([
  ['/', ['text/html', readFileSync(new URL('index.html', import.meta.url))]],
  ['/page.js', ['text/javascript', bundle.outputFiles[0].contents]],
])

const server = createServer((incoming, outgoing) => {
  const [type, content] = files.get(incoming.url?.split('?')[0]) ?? []
  if (content === undefined) return outgoing.writeHead(404).end()
  outgoing.setHeader('content-type', type).end(content)
})

server.listen(Number(PORT), '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${server.address().port}\n`)
})
