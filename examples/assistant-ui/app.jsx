import { HttpAgent } from '@ag-ui/client'
import {
  ActionBarPrimitive,
  AssistantRuntimeProvider,
  ComposerPrimitive,
  ExportedMessageRepository,
  MessagePrimitive,
  ThreadPrimitive,
  useAssistantTool,
} from '@assistant-ui/react'
import {
  fromAgUiMessages,
  useAgUiInterrupts,
  useAgUiRuntime,
  useAgUiSubmitInterruptResponses,
} from '@assistant-ui/react-ag-ui'
import { useState } from 'react'
import { createRoot } from 'react-dom/client'
import { z } from 'zod'

// The address names the thread, so that a reload shows it again.
const url = new URL(location.href)
if (!url.searchParams.has('thread')) {
  url.searchParams.set('thread', crypto.randomUUID())
  history.replaceState(null, '', url)
}
const threadId = url.searchParams.get('thread')

class Agent extends HttpAgent {
  /** Ids of the questions that this page has shown last. */
  asked = []

  requestInit(input) {
    const before = this.asked
    this.asked = questionsIn(input.messages)
    // Stop closes the stream: the run is to stop with it. An edited question has a new id: it replaces one that is gone.
    const replaces = before.find((id) => !this.asked.includes(id))
    const forwardedProps = { ...input.forwardedProps, onDisconnect: 'interrupt', replaces }
    return super.requestInit({ ...input, forwardedProps })
  }
}
const questionsIn = (messages) => messages.filter(({ role }) => role === 'user').map(({ id }) => id)
const agent = new Agent({ url: '/agent/', threadId })

// The runner keeps the thread: a page that starts empty asks for it, in the form of clients before AG-UI 1.0.
const historyAdapter = {
  async load() {
    const query = 'protocolVersion=0&follow=false'
    const answer = await fetch(`/agent/sessions/${encodeURIComponent(threadId)}/connect?${query}`)
    if (answer.status === 404) return ExportedMessageRepository.fromArray([])
    if (!answer.ok) throw new Error(await answer.text())
    const events = (await answer.text())
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => JSON.parse(line.slice('data:'.length)))
    const snapshot = events.find(({ type }) => type === 'MESSAGES_SNAPSHOT')
    const messages = snapshot?.messages ?? []
    agent.asked = questionsIn(messages)
    return ExportedMessageRepository.fromArray(fromAgUiMessages(messages))
  },
  // Nothing to do: what is said here is in the runner's log.
  async append() {},
}

// The runner says of a picture in a tool's result where it is.
const PICTURE = /\[image [^\]]*GET (\/sessions\/[^\s\]]+)\]/g

function Tool({ toolName, result, status }) {
  const text = typeof result === 'string' ? result : (JSON.stringify(result) ?? '')
  return (
    <details open>
      <summary>
        {toolName}: {status.type}
      </summary>
      <pre>{text}</pre>
      {[...text.matchAll(PICTURE)].map(([, path]) => (
        <img key={path} src={`/agent${path}`} alt={`Result of ${toolName}`} style={{ minWidth: 32 }} />
      ))}
    </details>
  )
}

const Text = ({ text }) => <p style={{ whiteSpace: 'pre-wrap' }}>{text}</p>
const Thinking = ({ text }) => <p style={{ color: 'gray' }}>{text}</p>

const Parts = () => (
  <MessagePrimitive.Parts components={{ Text, Reasoning: Thinking, tools: { Fallback: Tool } }} />
)

const Question = () => (
  <MessagePrimitive.Root>
    <Parts />
    <ActionBarPrimitive.Edit>Edit</ActionBarPrimitive.Edit>
  </MessagePrimitive.Root>
)

const EditedQuestion = () => (
  <ComposerPrimitive.Root>
    <ComposerPrimitive.Input aria-label="Edited message" />
    <ComposerPrimitive.Send>Ask</ComposerPrimitive.Send>
  </ComposerPrimitive.Root>
)

const Answer = () => (
  <MessagePrimitive.Root>
    <Parts />
    <ActionBarPrimitive.Reload>Again</ActionBarPrimitive.Reload>
  </MessagePrimitive.Root>
)

/** What Claude Code may not do without a person. */
function Approvals() {
  const interrupts = useAgUiInterrupts()
  const submit = useAgUiSubmitInterruptResponses()
  const answer = (approved) =>
    submit(interrupts.map(({ id }) => ({ interruptId: id, status: 'resolved', payload: { approved } })))
  if (interrupts.length === 0) return null
  return (
    <section aria-label="Approval">
      {interrupts.map(({ id, message }) => (
        <p key={id}>{message}</p>
      ))}
      <button type="button" onClick={() => answer(true)}>
        Approve
      </button>{' '}
      <button type="button" onClick={() => answer(false)}>
        Deny
      </button>
    </section>
  )
}

function Chat() {
  const [color, setColor] = useState('white')

  // A tool that runs in this page: the model calls it, the run waits for its result.
  useAssistantTool({
    toolName: 'set_color',
    type: 'frontend',
    description: 'Sets the background colour of the page that the person looks at.',
    parameters: z.object({ color: z.string().describe('a CSS colour') }),
    execute: async ({ color }) => {
      setColor(color)
      return `The page is ${color} now.`
    },
  })

  return (
    <main data-color={color} style={{ background: color }}>
      <ThreadPrimitive.Root>
        <ThreadPrimitive.Messages
          components={{ UserMessage: Question, EditComposer: EditedQuestion, AssistantMessage: Answer }}
        />
        <Approvals />
        <ComposerPrimitive.Root>
          <ComposerPrimitive.Input aria-label="Message" />
          <ThreadPrimitive.If running={false}>
            <ComposerPrimitive.Send>Send</ComposerPrimitive.Send>
          </ThreadPrimitive.If>
          <ThreadPrimitive.If running>
            <ComposerPrimitive.Cancel>Stop</ComposerPrimitive.Cancel>
          </ThreadPrimitive.If>
        </ComposerPrimitive.Root>
      </ThreadPrimitive.Root>
    </main>
  )
}

function App() {
  const [error, setError] = useState()
  const runtime = useAgUiRuntime({
    agent,
    adapters: { history: historyAdapter },
    onError: ({ message }) => setError(message),
  })
  return (
    <AssistantRuntimeProvider runtime={runtime}>
      <Chat />
      {error !== undefined && <p role="alert">{error}</p>}
    </AssistantRuntimeProvider>
  )
}

createRoot(document.getElementById('root')).render(<App />)
