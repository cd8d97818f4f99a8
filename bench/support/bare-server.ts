/** The least that can answer: what listens as the runner does, says so and knows `/health`. To be given to `node --eval`. */
export const BARE_SERVERS = {
  'node:http': `
    const { createServer } = require('node:http')
    const server = createServer((_request, response) => response.end('{"status":"healthy"}'))
    server.listen(Number(process.env.AGUI_PORT), '127.0.0.1', () => {
      const url = 'http://127.0.0.1:' + server.address().port
      console.log(JSON.stringify({ msg: 'listening', url }))
    })`,
  Fastify: `
    const app = require('fastify')()
    app.get('/health', async () => ({ status: 'healthy' }))
    app.listen({ host: '127.0.0.1', port: Number(process.env.AGUI_PORT) }).then((url) => {
      console.log(JSON.stringify({ msg: 'listening', url }))
    })`,
} as const
