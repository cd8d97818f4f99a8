// What the recorder plays: for each case the gateway's script, the prompts and what happens meanwhile.
import {
  createSdkMcpServer,
  type Options,
  type Query,
  type SDKMessage,
  type SDKUserMessage,
  tool,
} from '@anthropic-ai/claude-agent-sdk'
import type { MockGateway } from '../../src/mock/mock-gateway.ts'
import type { Script } from '../../src/mock/script.ts'
import { ENDING_CASES } from './ending-cases.ts'

type Reply = Script['rules'][number]['reply']
type Rule = Script['rules'][number]

interface Stage {
  query: Query
  gateway: MockGateway
  /** Puts a user message in while a turn runs, with an id, so that Claude Code says what becomes of it. */
  send(text: string): void
}

export interface RecordingCase {
  rules: Rule[]
  prompts?: string[]
  options?: Partial<Options>
  environment?: Record<string, string>
  /** Files in the workspace before the start; base64. */
  files?: Record<string, string>
  /** Each prompt in a process of its own, resumed. */
  restart?: boolean
  /** Waits for a turn that follows the last result by itself. */
  aftermath?: boolean
  /** Called with every message, before the next one is read. */
  during?: (message: SDKMessage, stage: Stage) => Promise<void> | void
}

const then = (...replies: Reply[]): Rule[] =>
  replies.map((reply, round) => (round < replies.length - 1 ? { when: { round }, reply } : { reply }))

/** The first request gets the first reply, and so on: for requests that are not rounds of a turn. */
const inTurn = (...replies: Reply[]): Rule[] =>
  replies.map((reply, at) => (at < replies.length - 1 ? { times: 1, reply } : { reply }))

const bash = (command: string, pieces = 1) => ({
  tool: 'Bash',
  input: { command, description: 'test' },
  pieces,
})

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

const sse = (events: readonly { type: string }[]): string =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')

const block = (index: number, content: object, ...deltas: object[]): { type: string }[] => [
  { type: 'content_block_start', ...{ index, content_block: content } },
  ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
  { type: 'content_block_stop', ...{ index } },
]

const isType = (message: SDKMessage, type: string): boolean =>
  message.type === 'stream_event' && message.event.type === type

const delegate = (prompt: string, background = false) => ({
  tool: 'Agent',
  input: {
    description: 'look around',
    prompt,
    subagent_type: 'general-purpose',
    run_in_background: background,
  },
})

const AGENT = { subagent: true }
const TASK_REPORT = { round: 0, prompt: 'task-notification' }

const NAME_FORMAT: NonNullable<Options['outputFormat']> = {
  type: 'json_schema',
  schema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
}

/** Refused with a category, which is what makes Claude Code try another model. */
const REFUSED: Reply = [
  { raw: sse([...block(0, { type: 'text', text: '' }, { type: 'text_delta', text: 'I cannot' })]) },
  {
    raw: sse([
      {
        type: 'message_delta',
        ...{
          delta: {
            stop_reason: 'refusal',
            stop_sequence: null,
            stop_details: { type: 'refusal', category: 'cyber' },
          },
        },
        ...{ usage: { output_tokens: 6 } },
      },
      { type: 'message_stop' },
    ]),
  },
  { cut: true },
]

export const RECORDING_CASES: Readonly<Record<string, RecordingCase>> = {
  text: { rules: [{ reply: [{ text: ['Hello', ' from', ' the', ' mock', '!'] }] }] },
  'split-characters': {
    rules: [
      { reply: [{ text: ['smile ', '\ud83d', '\ude00', ' and ', 'gr\u00fc\u00df', 'e \ud83c', '\udf89'] }] },
    ],
  },
  'no-partials': {
    rules: then([{ thinking: 'hm', signature: 'sig' }, 'I look.', bash('echo whole')], ['Done.']),
    options: { includePartialMessages: false },
  },
  thinking: { rules: [{ reply: [{ thinking: ['Let me ', 'think.'], signature: 'sig-1' }, 'Answer 42'] }] },
  'thinking-redacted': {
    rules: [{ reply: [{ redactedThinking: 'SECRET==' }, { thinking: '', signature: 'sig-2' }, 'Answer'] }],
  },
  'thinking-interleaved': {
    rules: then(
      [{ thinking: 'plan', signature: 'sig-3' }, bash('echo a')],
      [{ thinking: 'more', signature: 'sig-4' }, 'fin'],
    ),
  },
  tool: { rules: then(['I will run it.', bash('echo hi from tool; echo err >&2', 4)], ['Done.']) },
  'tool-fail': { rules: then([bash('echo out; echo bad >&2; exit 3')], ['Failed.']) },
  'tool-unknown': { rules: then([{ tool: 'NoSuchTool', input: { a: 1 } }], ['No such tool.']) },
  'tool-no-input': { rules: then([{ tool: 'TaskList', rawInput: '' }], ['ok']) },
  'tool-bad-json': { rules: then([{ tool: 'Bash', rawInput: '{"command": "ec' }], ['ok']) },
  'tool-parallel': {
    rules: then(
      [
        'three',
        bash('sleep 0.5; echo slow', 2),
        bash('echo quick', 2),
        { tool: 'Read', input: { file_path: '{{cwd}}/a.txt' } },
      ],
      ['Done.'],
    ),
    files: { 'a.txt': Buffer.from('one line\n').toString('base64') },
  },
  'tool-between-texts': {
    rules: then(['before', bash('echo one'), 'between', bash('echo two')], ['after']),
  },
  'tool-long': { rules: then([bash('for i in 1 2 3 4 5; do sleep 1; done; echo over')], ['ok']) },
  'write-edit': {
    rules: then(
      [{ tool: 'Write', input: { file_path: '{{cwd}}/new.txt', content: 'line1\nline2\n' } }],
      [{ tool: 'Edit', input: { file_path: '{{cwd}}/new.txt', old_string: 'line1', new_string: 'LINE1' } }],
      ['ok'],
    ),
  },
  'arguments-in-pieces': {
    rules: then(
      [
        {
          tool: 'Bash',
          input: { command: `echo ${'x'.repeat(300)} | wc -c`, description: 'count' },
          pieces: 40,
        },
      ],
      ['301'],
    ),
  },
  'read-image': {
    rules: then([{ tool: 'Read', input: { file_path: '{{cwd}}/p.png' } }], ['a pixel']),
    files: { 'p.png': PNG },
  },
  'server-tool': {
    rules: [
      {
        reply: [
          {
            raw: sse([
              ...block(
                0,
                { type: 'server_tool_use', id: 'srvtoolu_1', name: 'web_search', input: {} },
                { type: 'input_json_delta', partial_json: '{"query":"ag-ui"}' },
              ),
              ...block(1, {
                type: 'web_search_tool_result',
                tool_use_id: 'srvtoolu_1',
                content: [
                  {
                    type: 'web_search_result',
                    title: 'AG-UI',
                    url: 'https://example.com/',
                    encrypted_content: 'xxxx',
                    page_age: null,
                  },
                ],
              }),
              ...block(
                2,
                { type: 'text', text: '', citations: [] },
                { type: 'text_delta', text: 'Found it.' },
                {
                  type: 'citations_delta',
                  citation: {
                    type: 'web_search_result_location',
                    url: 'https://example.com/',
                    title: 'AG-UI',
                    cited_text: 'AG-UI',
                    encrypted_index: 'x',
                  },
                },
              ),
            ]),
          },
        ],
      },
    ],
  },
  subagent: {
    rules: [
      {
        when: { ...AGENT, round: 0 },
        reply: [{ thinking: 'sub thinks', signature: 's' }, 'sub says', bash('echo in-sub')],
      },
      { when: AGENT, reply: ['sub result'] },
      ...then(['delegating', delegate('look')], ['main done']),
    ],
  },
  'subagent-resumed': {
    rules: [
      { when: { ...AGENT, prompt: 'look' }, reply: ['first report'] },
      { when: { ...AGENT, round: 0 }, reply: ['I look again', bash('echo in-sub')] },
      { when: AGENT, reply: ['second report'] },
      {
        when: { round: 1, result: { tool: 'Agent', matches: 'agentId: (\\w+)' } },
        reply: [
          { tool: 'SendMessage', input: { to: '{{result.1}}', summary: 'look again', message: 'again' } },
        ],
      },
      ...then(['delegating', delegate('look')], ['main done']),
    ],
  },
  'calls-with-one-id': {
    rules: then(
      [
        { tool: 'Bash', id: 'toolu_same', input: { command: 'echo one' } },
        { tool: 'Bash', id: 'toolu_same', input: { command: 'echo two' } },
      ],
      ['done'],
    ),
  },
  'subagents-parallel': {
    rules: [
      { when: { ...AGENT, round: 0, prompt: 'first' }, reply: [bash('sleep 0.3; echo one')] },
      { when: { ...AGENT, round: 0 }, reply: [bash('echo two')] },
      { when: AGENT, reply: ['report'] },
      ...then([delegate('first'), delegate('second')], ['both done']),
    ],
  },
  'subagent-nested': {
    rules: [
      { when: { ...AGENT, prompt: 'inner', round: 0 }, reply: [bash('echo deep')] },
      { when: { ...AGENT, prompt: 'inner' }, reply: ['inner report'] },
      { when: { ...AGENT, round: 0 }, reply: ['I delegate too', delegate('inner task')] },
      { when: AGENT, reply: ['outer report'] },
      ...then([delegate('outer task')], ['all done']),
    ],
  },
  'subagent-fails': {
    rules: [
      { when: AGENT, reply: [{ error: { status: 400, message: 'bad' } }] },
      ...then([delegate('look')], ['it failed']),
    ],
  },
  'subagent-background': {
    rules: [
      { when: AGENT, reply: [{ pause: 700 }, 'late report'] },
      { when: TASK_REPORT, reply: ['got it'] },
      ...then([delegate('look', true)], ['started it']),
    ],
    prompts: ['go'],
    environment: { CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '' },
    aftermath: true,
  },
  'background-bash': {
    rules: [
      { when: TASK_REPORT, reply: ['got notification'] },
      ...then(
        [
          {
            tool: 'Bash',
            input: { command: 'sleep 1; echo bgdone', description: 'bg', run_in_background: true },
          },
        ],
        ['main done'],
      ),
    ],
    environment: { CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '' },
    aftermath: true,
  },
  'api-retry': {
    rules: [
      { times: 1, reply: [{ error: { status: 429, headers: { 'retry-after': '1' } } }] },
      { reply: ['recovered'] },
    ],
  },
  'error-400': { rules: [{ reply: [{ error: { status: 400, message: 'no such field' } }] }] },
  'error-401': { rules: [{ reply: [{ error: { status: 401, message: 'invalid x-api-key' } }] }] },
  'error-429': { rules: [{ reply: [{ error: { status: 429, message: 'slow down' } }] }] },
  'error-500': { rules: [{ reply: [{ error: { status: 500, message: 'internal' } }] }] },
  'error-529': { rules: [{ reply: [{ error: { status: 529, message: 'overloaded' } }] }] },
  'error-unreachable': {
    rules: [{ reply: ['unheard'] }],
    environment: { ANTHROPIC_BASE_URL: 'http://127.0.0.1:9' },
  },
  'error-not-configured': { rules: [{ reply: [{ gateway: 'not-configured' }] }] },
  'drop-midstream': { rules: inTurn([{ text: 'half a sen', open: true }, { drop: true }], ['second try']) },
  'drop-in-arguments': {
    rules: inTurn(
      ['I run.', { tool: 'Bash', rawInput: '{"command": "ec', open: true }, { pause: 100 }, { drop: true }],
      [bash('echo again')],
      ['Done.'],
    ),
  },
  'overloaded-midstream': {
    rules: [
      {
        times: 1,
        when: { stream: true },
        reply: [{ text: 'half a sen', open: true }, { streamError: { type: 'overloaded_error' } }],
      },
      { reply: ['whole answer'] },
    ],
  },
  'stream-cut': { rules: inTurn(['one finished block', { cut: true }], ['the rest']) },
  'empty-content': { rules: [{ reply: [] }] },
  'max-tokens': { rules: inTurn(['cut off at', { stop: 'max_tokens' }], [' and the rest.']) },
  'max-tokens-for-ever': { rules: [{ reply: ['cut off', { stop: 'max_tokens' }] }] },
  'max-turns': { rules: [{ reply: [bash('echo 1')] }], options: { maxTurns: 1 } },
  refusal: { rules: [{ reply: REFUSED }] },
  'refusal-uncategorised': { rules: [{ reply: ['I cannot', { stop: 'refusal' }] }] },
  'refusal-recovered': {
    rules: [{ when: { model: 'opus-4-8' }, reply: ['Here it is'] }, { reply: REFUSED }],
  },
  'structured-output': {
    rules: then([{ tool: 'StructuredOutput', input: { name: 'bob' } }], ['done']),
    options: { outputFormat: NAME_FORMAT },
  },
  'usage-with-cache': {
    rules: [{ reply: [{ usage: { input: 7, output: 5, cacheRead: 100, cacheCreation: 20 } }, 'cached'] }],
    prompts: ['one', 'two'],
  },
  'usage-resumed': {
    rules: [{ reply: [{ usage: { input: 11, output: 5 } }, 'again'] }],
    prompts: ['one', 'two', 'three'],
    restart: true,
  },
  compaction: {
    rules: [
      { when: { prompt: 'summary' }, reply: ['SUMMARY'] },
      { reply: [{ usage: { input: 195_000, output: 6 } }, 'reply'] },
    ],
    prompts: ['one', 'two', 'three'],
    options: { model: 'claude-sonnet-4-5' },
    environment: { CLAUDE_CODE_AUTO_COMPACT_WINDOW: '100000' },
  },
  clear: { rules: [{ reply: ['reply'] }], prompts: ['one', '/clear', 'two'] },
  'slash-command': { rules: [{ reply: ['reply'] }], prompts: ['/usage'] },
  'interrupt-text': {
    rules: [{ reply: [{ deltas: { count: 400, perSecond: 100, text: 'word ' } }] }],
    during: async (message, { query }) => {
      if (isType(message, 'content_block_delta')) await query.interrupt()
    },
  },
  'interrupt-thinking': {
    rules: [{ reply: [{ thinking: ['a', 'b', 'c', 'd'], everyMs: 300, signature: 'never' }, 'x'] }],
    during: async (message, { query }) => {
      if (isType(message, 'content_block_delta')) await query.interrupt()
    },
  },
  'interrupt-arguments': {
    rules: [
      {
        reply: [
          { tool: 'Bash', input: { command: 'echo never', description: 'x' }, pieces: 20, everyMs: 100 },
        ],
      },
    ],
    during: async (message, { query }) => {
      if (isType(message, 'content_block_delta')) await query.interrupt()
    },
  },
  'interrupt-tool': {
    rules: then(['Wait.', bash('sleep 0.1; while true; do sleep 0.2; done')], ['never']),
    during: async (message, { query }) => {
      if (message.type === 'stream_event' && message.event.type === 'message_stop') await query.interrupt()
    },
  },
  'interrupt-subagent': {
    rules: [
      { when: AGENT, reply: [bash('while true; do sleep 0.2; done')] },
      ...then([delegate('look')], ['never']),
    ],
    during: async (message, { query }) => {
      if (message.type === 'assistant' && message.parent_tool_use_id !== null) await query.interrupt()
    },
  },
  'message-during-tool': {
    rules: then([bash('sleep 1; echo over')], ['I saw both.']),
    during: (message, { send }) => {
      if (message.type === 'assistant' && JSON.stringify(message).includes('"tool_use"'))
        send('and one more thing')
    },
  },
  'permission-denied': {
    rules: then([bash('touch /etc/not-allowed')], ['I was not allowed.']),
    options: {
      permissionMode: 'default',
      canUseTool: async () => ({ behavior: 'deny', message: 'No, says the person.' }),
    },
  },
  'permission-denied-by-mode': {
    rules: then([bash('touch /etc/not-allowed')], ['I was not allowed.']),
    options: { permissionMode: 'dontAsk' },
  },
  hooks: {
    rules: then([bash('echo hooked')], ['Done.']),
    options: {
      includeHookEvents: true,
      settings: {
        hooks: {
          PreToolUse: [{ matcher: 'Bash', hooks: [{ type: 'command', command: 'echo from the hook' }] }],
        },
      },
    },
  },
  'mcp-tool': {
    rules: then([{ tool: 'mcp__client__ask_color', input: { question: 'which?' } }], ['Blue it is.']),
    options: {
      mcpServers: {
        client: createSdkMcpServer({
          name: 'client',
          tools: [
            tool('ask_color', 'Asks for a color', {}, async () => ({
              content: [{ type: 'text', text: 'blue' }],
            })),
          ],
        }),
      },
    },
  },
  question: {
    rules: then(
      [
        {
          tool: 'AskUserQuestion',
          input: {
            questions: [
              {
                question: 'Which color?',
                header: 'Color',
                multiSelect: false,
                options: [
                  { label: 'Red', description: 'warm' },
                  { label: 'Blue', description: 'cold' },
                ],
              },
            ],
          },
        },
      ],
      ['Blue it is.'],
    ),
    options: {
      permissionMode: 'default',
      canUseTool: async (_name, input) => ({
        behavior: 'allow',
        updatedInput: { ...input, answers: { 'Which color?': 'Blue' } },
      }),
    },
  },
  'max-budget': { rules: [{ reply: [bash('echo 1')] }], options: { maxBudgetUsd: 0.0001 } },
  'structured-output-refused': {
    rules: [{ reply: [{ tool: 'StructuredOutput', input: { name: 1 } }] }],
    options: { outputFormat: NAME_FORMAT },
    environment: { MAX_STRUCTURED_OUTPUT_RETRIES: '2' },
  },
  'not-logged-in': { rules: [{ reply: ['unheard'] }], environment: { ANTHROPIC_API_KEY: '' } },
  'session-lost': {
    rules: [{ reply: ['unheard'] }],
    options: { resume: '00000000-0000-4000-8000-000000000000' },
  },
  'mcp-structured': {
    rules: then([{ tool: 'mcp__client__weather', input: {} }], ['ok']),
    options: {
      mcpServers: {
        client: createSdkMcpServer({
          name: 'client',
          tools: [
            tool('weather', 'Says it twice', {}, async () => ({
              content: [{ type: 'text', text: 'the text beside' }],
              structuredContent: { weather: 'fine' },
            })),
          ],
        }),
      },
    },
  },
  'mcp-failure': {
    rules: [{ reply: ['no server'] }],
    options: { mcpServers: { broken: { command: '/nonexistent/mcp-server', args: [] } } },
  },
  ...ENDING_CASES,
}

export const toPrompt = (text: string): SDKUserMessage => ({
  type: 'user',
  message: { role: 'user', content: text },
  parent_tool_use_id: null,
  session_id: '',
})
