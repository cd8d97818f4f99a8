/** The least that can answer: what listens and says so as the runner does, and knows `/health`. To be given to `node --eval`. */
export const BARE_SERVERS = {
  'node:http': `
    const { createServer } = require('node:http')
    const server = createServer((_request, response) => response.end('{"status":"healthy"}'))
    server.listen(0, '127.0.0.1', () => {
      const url = 'http://127.0.0.1:' + server.address().port
      console.log(JSON.stringify({ msg: 'listening', url }))
    })`,
  Fastify: `
    const app = require('fastify')()
    app.get('/health', async () => ({ status: 'healthy' }))
    app.listen({ host: '127.0.0.1', port: 0 }).then((url) => {
      console.log(JSON.stringify({ msg: 'listening', url }))
    })`,
} as const
