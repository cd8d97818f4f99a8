// What a tool inside does: asks HTTPS_PROXY for a tunnel, speaks TLS through it, sends a request, reads the answer.
// Prints the time of each round in ms. Plain JavaScript: it runs where nothing of this repository is.
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'

const [host = '', rounds = '1', connection = 'new'] = process.argv.slice(2)
const proxy = new URL(process.env.HTTPS_PROXY ?? '')

async function open() {
  const socket = connect(Number(proxy.port), proxy.hostname)
  socket.setNoDelay(true)
  socket.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`)
  const answer = await until(socket, '\r\n\r\n')
  if (!answer.includes(' 200 ')) throw new Error(answer)
  const secure = connectTls({ socket, servername: host })
  await new Promise((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject))
  return secure
}

async function ask(secure) {
  secure.write(`GET /repos/one HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  const answer = await until(secure, 'END\n')
  if (!answer.startsWith('HTTP/1.1 200')) throw new Error(answer)
}

function until(socket, mark) {
  return new Promise((resolve, reject) => {
    let said = ''
    const hear = (piece) => {
      said += piece.toString('latin1')
      if (!said.includes(mark) && !/^HTTP\/1.1 [345]/.test(said)) return
      socket.off('data', hear).off('error', reject)
      resolve(said)
    }
    socket.on('data', hear).once('error', reject)
  })
}

const kept = connection === 'kept' ? await open() : undefined
const times = []
for (let round = -3; round < Number(rounds); round++) {
  const started = performance.now()
  const secure = kept ?? (await open())
  await ask(secure)
  if (round >= 0) times.push(performance.now() - started)
  if (kept === undefined) secure.destroy()
}
kept?.destroy()
console.log(JSON.stringify(times))
