import { HttpAgent } from '@ag-ui/client'

const byId = (id) => document.getElementById(id)

// The address names the thread, so that a reload shows it again.
const url = new URL(location.href)
if (!url.searchParams.has('thread')) {
  url.searchParams.set('thread', crypto.randomUUID())
  history.replaceState(null, '', url)
}
const threadId = url.searchParams.get('thread')
const runner = `${AGUI_URL}/sessions/${encodeURIComponent(threadId)}`

let token = ''
const signedIn = () => (token === '' ? {} : { authorization: `Bearer ${token}` })

/** A runner's refusal is `{error: {code, message}}`. */
async function call(address, options = {}) {
  const headers = { 'content-type': 'application/json', ...signedIn() }
  const answer = await fetch(address, { ...options, headers })
  const body = await answer.json()
  if (!answer.ok) throw new Error(`${body.error.code}: ${body.error.message}`)
  return body
}

const agent = new HttpAgent({ url: `${AGUI_URL}/`, threadId })
agent.subscribe({ onMessagesChanged: ({ messages }) => show(messages) })

function show(messages) {
  const said = messages.filter(({ role, content }) => ['user', 'assistant'].includes(role) && content)
  byId('said').replaceChildren(
    ...said.map(({ role, content }) => {
      const line = document.createElement('p')
      line.dataset.role = role
      line.textContent =
        typeof content === 'string' ? content : content.map(({ text }) => text ?? '[media]').join('')
      return line
    }),
  )
}

/** Shows every event of the thread, whoever started the run. An EventSource can send no header; a ticket stands for it. */
let seq = 0
async function follow() {
  const body = JSON.stringify({ threadId })
  const { ticket } = await call(`${AGUI_URL}/tickets`, { method: 'POST', body })
  const source = new EventSource(
    `${runner}/events?wait=true&after=${seq}&ticket=${encodeURIComponent(ticket)}`,
  )
  source.onmessage = ({ data, lastEventId }) => {
    if (Number(lastEventId) <= seq) return
    seq = Number(lastEventId)
    const line = document.createElement('li')
    line.value = seq
    line.textContent = JSON.parse(data).type
    byId('log').append(line)
    line.scrollIntoView({ block: 'nearest' })
  }
  source.onopen = () => complain({ message: '' })
  // The ticket is used up. A new one goes on behind the last event seen.
  source.onerror = () => {
    source.close()
    setTimeout(followAgain, 1000)
  }
}

async function followAgain() {
  try {
    await follow()
  } catch (error) {
    complain(error)
    // Nobody answered: the runner starts again, or the network is away. A refusal would be the same the next time.
    if (error instanceof TypeError) setTimeout(followAgain, 1000)
  }
}

function complain(error) {
  byId('problem').textContent = error.message
}

byId('sign-in').onsubmit = async (event) => {
  event.preventDefault()
  token = byId('sign-in').querySelector('input').value
  agent.headers = signedIn()
  byId('problem').textContent = ''
  try {
    const { sessions } = await call(`${AGUI_URL}/sessions`)
    // What the thread holds comes in one snapshot; what happens after it comes from the EventSource.
    if (sessions.some((session) => session.threadId === threadId)) {
      const answer = await fetch(`${runner}/connect?follow=false`, { headers: signedIn() })
      const events = (await answer.text()).split('\n').filter((line) => line.startsWith('data:'))
      const snapshot = events
        .map((line) => JSON.parse(line.slice(5)))
        .find(({ type }) => type === 'MESSAGES_SNAPSHOT')
      agent.setMessages(snapshot?.messages ?? [])
    }
    await follow()
    byId('sign-in').hidden = true
  } catch (error) {
    complain(error)
  }
}

byId('ask').onsubmit = async (event) => {
  event.preventDefault()
  const prompt = byId('ask').querySelector('input')
  agent.addMessage({ id: crypto.randomUUID(), role: 'user', content: prompt.value })
  prompt.value = ''
  complain({ message: '' })
  byId('stop').disabled = false
  try {
    await agent.runAgent(
      {},
      { onRunErrorEvent: ({ event: { code, message } }) => complain({ message: `${code}: ${message}` }) },
    )
  } catch (error) {
    complain(error)
  }
  byId('stop').disabled = true
}

// The run ends as `cancelled`; closing the stream alone would let it go on.
byId('stop').onclick = () => call(`${runner}/interrupt`, { method: 'POST', body: '{}' }).catch(complain)
