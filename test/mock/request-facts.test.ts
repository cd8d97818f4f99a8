import { expect, test } from 'vitest'
import { readFacts } from '../../src/mock/messages-api.ts'

const REMINDER = '<system-reminder>\nAttribution for git commits …\n</system-reminder>\n'
const ENVIRONMENT =
  '# Environment\nYou have been invoked in the following environment: \n - Primary working directory: /sandbox/work space\n - Platform: linux'
const STEERED = 'The user sent a new message while you were working:\nSTEER\n\nAddress it.'
const STEERED_NOTE = `${ENVIRONMENT}\n${STEERED}`
const SYSTEM = [
  { type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1.329.ee9; cc_entrypoint=sdk-cli;' },
  { type: 'text', text: "You are a Claude agent, built on Anthropic's Claude Agent SDK." },
]

/** The opening of a conversation as 2.1.329 sends it: a reminder, the prompt, then the environment as a note. */
const opening = (prompt: string): unknown[] => [
  {
    role: 'user',
    content: [
      { type: 'text', text: REMINDER },
      { type: 'text', text: prompt },
    ],
  },
  { role: 'system', content: ENVIRONMENT },
]
const call = (id: string, name: string): unknown => ({
  role: 'assistant',
  content: [{ type: 'tool_use', id, name, input: {} }],
})
const result = (id: string, content: unknown, fields: object = {}): unknown => ({
  type: 'tool_result',
  tool_use_id: id,
  content,
  ...fields,
})

function factsOf(messages: unknown[], fields: object = {}, headers: Record<string, string> = {}) {
  const facts = readFacts({ model: 'm', stream: true, system: SYSTEM, messages, ...fields }, headers)
  if (facts === undefined) throw new Error('not read as a Messages API request')
  return facts
}

test('the prompt is what the person wrote, without reminders', () => {
  const tools = [{ name: 'Bash' }, { type: 'web_search_20250305', name: 'web_search' }]
  expect(factsOf(opening('Hello, do it'), { tools })).toEqual({
    messages: expect.stringContaining('Hello, do it'),
    model: 'm',
    stream: true,
    prompt: 'Hello, do it',
    note: ENVIRONMENT,
    results: [],
    round: 0,
    nudges: 0,
    subagent: false,
    tools: ['Bash', 'web_search'],
    cwd: '/sandbox/work space',
  })
})

test('a reminder inside the same block is cut out', () => {
  expect(factsOf([{ role: 'user', content: `${REMINDER}hi${REMINDER}` }]).prompt).toBe('hi')
})

test('tool rounds since the prompt are counted, the results are those of the last one', () => {
  const messages = [
    ...opening('first'),
    call('t0', 'Read'),
    { role: 'user', content: [result('t0', 'old')] },
    { role: 'assistant', content: [{ type: 'text', text: 'done' }] },
    { role: 'user', content: 'second' },
    call('t1', 'Read'),
    { role: 'user', content: [result('t1', 'a')] },
    {
      role: 'assistant',
      content: [
        { type: 'tool_use', id: 't2', name: 'Bash' },
        { type: 'tool_use', id: 't3', name: 'Write' },
      ],
    },
    {
      role: 'user',
      content: [
        result(
          't3',
          [
            { type: 'text', text: 'b' },
            { type: 'text', text: 'c' },
          ],
          { is_error: true },
        ),
        result('t2', 'd'),
      ],
    },
    { role: 'system', content: 'The user sent a new message while you were working:\nSTEER' },
  ]
  expect(factsOf(messages)).toMatchObject({
    prompt: 'second',
    round: 2,
    results: [
      { id: 't3', tool: 'Write', text: 'b\nc', isError: true },
      { id: 't2', tool: 'Bash', text: 'd', isError: false },
    ],
    note: 'The user sent a new message while you were working:\nSTEER',
  })
})

test.each([
  ['as a note', [], { role: 'system', content: STEERED }],
  ['beside the result', [{ type: 'text', text: STEERED }], undefined],
  ['as a message', [], { role: 'user', content: [{ type: 'text', text: STEERED }] }],
])('a message steered into the turn %s is no prompt', (_name, beside, message) => {
  const messages = [
    ...opening('first'),
    call('t1', 'Bash'),
    { role: 'user', content: [result('t1', 'a'), ...beside] },
    ...(message === undefined ? [] : [message]),
  ]
  expect(factsOf(messages)).toMatchObject({
    prompt: 'first',
    round: 1,
    note: STEERED_NOTE,
    results: [{ id: 't1', text: 'a' }],
  })
})

test('a new prompt ends the round, also beside an interrupted tool result', () => {
  const messages = [
    ...opening('first'),
    call('t1', 'Bash'),
    {
      role: 'user',
      content: [
        result('t1', "The user doesn't want to proceed", { is_error: true }),
        { type: 'text', text: '[Request interrupted by user for tool use]' },
        { type: 'text', text: 'second' },
      ],
    },
  ]
  expect(factsOf(messages)).toMatchObject({ prompt: 'second', round: 0, results: [] })
})

test("Claude Code's own nudges are counted, not taken for prompts", () => {
  const messages = [
    ...opening('write a novel'),
    { role: 'assistant', content: [{ type: 'text', text: 'cut off at' }] },
    { role: 'user', content: 'Output token limit hit. Resume directly — no apology, no recap.' },
    { role: 'assistant', content: [{ type: 'text', text: 'again' }] },
    {
      role: 'user',
      content: [{ type: 'text', text: 'Your response above was cut off mid-stream. Resume directly.' }],
    },
  ]
  expect(factsOf(messages)).toMatchObject({ prompt: 'write a novel', round: 0, nudges: 2 })
})

test.each([
  ['the header', {}, { 'x-claude-code-agent-id': 'a4e5' }],
  [
    'the billing line',
    { system: [{ type: 'text', text: 'x-anthropic-billing-header: cc_is_subagent=true;' }] },
    {},
  ],
  [
    'the system prompt',
    { system: "You are an agent for Claude Code, Anthropic's official CLI for Claude." },
    {},
  ],
])('a subagent is known by %s', (_name, fields, headers) => {
  expect(factsOf(opening('x'), fields, headers).subagent).toBe(true)
})

test('the working directory of an older version is in the system prompt', () => {
  const system = '<env>\nWorking directory: /old/place\nPlatform: linux</env>'
  expect(factsOf([{ role: 'user', content: 'x' }], { system }).cwd).toBe('/old/place')
})

test('a person who writes about a working directory does not set it', () => {
  expect(factsOf([{ role: 'user', content: 'working directory: /etc' }]).cwd).toBe('')
})

test('images and unknown blocks pass', () => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: '' } }
  const messages = [
    { role: 'user', content: [image, { type: 'text', text: 'what is it' }, { type: 'new_block', x: 1 }] },
  ]
  expect(factsOf(messages).prompt).toBe('what is it')
})

test.each([[undefined], ['text'], [{}], [{ model: 'm' }], [{ model: 'm', messages: 'no' }]])(
  '%j is not a request',
  (body) => {
    expect(readFacts(body, {})).toBeUndefined()
  },
)
