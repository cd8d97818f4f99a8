import {
  CopilotChat,
  CopilotKitProvider,
  useDefaultRenderTool,
  useFrontendTool,
  useInterrupt,
} from '@copilotkit/react-core/v2'
import { useState } from 'react'
import { createRoot } from 'react-dom/client'
import { z } from 'zod'
import '@copilotkit/react-core/v2/styles.css'

// The address names the thread, so that a reload shows it again.
const url = new URL(location.href)
if (!url.searchParams.has('thread')) {
  url.searchParams.set('thread', crypto.randomUUID())
  history.replaceState(null, '', url)
}
const threadId = url.searchParams.get('thread')

// The runner says of a picture in a tool's result where it is.
const PICTURE = /\[image [^\]]*GET (\/sessions\/[^\s\]]+)\]/g

// CopilotKit's style sheet makes buttons look like text.
const BUTTON = { border: '1px solid', borderRadius: 4, padding: '0 .5em' }

function Chat() {
  const [color, setColor] = useState('white')

  // A tool that runs in this page: the model calls it, the run waits for its result.
  useFrontendTool({
    name: 'set_color',
    description: 'Sets the background colour of the page that the person looks at.',
    parameters: z.object({ color: z.string().describe('a CSS colour') }),
    handler: async ({ color }) => {
      setColor(color)
      return `The page is ${color} now.`
    },
  })

  // What Claude Code may not do without a person.
  useInterrupt({
    render: ({ interrupt, resolve }) => (
      <section aria-label="Approval">
        <p>{interrupt?.message}</p>
        <button type="button" style={BUTTON} onClick={() => resolve({ approved: true })}>
          Approve
        </button>{' '}
        <button type="button" style={BUTTON} onClick={() => resolve({ approved: false })}>
          Deny
        </button>
      </section>
    ),
  })

  // Claude Code's own tools.
  useDefaultRenderTool({
    render: ({ name, status, result }) => (
      <details open>
        <summary>
          {name}: {status}
        </summary>
        <pre style={{ whiteSpace: 'pre-wrap' }}>{result}</pre>
        {[...(result ?? '').matchAll(PICTURE)].map(([, path]) => (
          <img key={path} src={path} alt={`Result of ${name}`} style={{ minWidth: 32 }} />
        ))}
      </details>
    ),
  })

  return (
    <main data-color={color} style={{ background: color, height: '100%' }}>
      <CopilotChat threadId={threadId} />
    </main>
  )
}

createRoot(document.getElementById('root')).render(
  // Stop closes the stream; this makes the runner stop the run with it.
  <CopilotKitProvider runtimeUrl="/api/copilotkit" properties={{ onDisconnect: 'interrupt' }}>
    <Chat />
  </CopilotKitProvider>,
)
