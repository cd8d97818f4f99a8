import type { UserMessage } from '@ag-ui/core'
import { expect, test } from 'vitest'
import { toPrompt } from '../../../src/claude/translate/prompt.ts'

type Part = Exclude<UserMessage['content'], string>[number]

const user = (content: UserMessage['content'], more: Partial<UserMessage> = {}): UserMessage => ({
  ...{ id: 'u', role: 'user', content },
  ...more,
})
const promptOf = (...parts: Part[]) =>
  toPrompt({ messages: [user(parts)], context: [] }, { slashCommands: true })
const data = (type: 'image' | 'document', mimeType: string, bytes: Buffer): Part => ({
  type,
  source: { type: 'data', mimeType, value: bytes.toString('base64') },
})
const textDocument = (words: string) => ({
  type: 'document',
  source: { type: 'text', media_type: 'text/plain', data: words },
})

test.each([
  ['a text', 'dark mode'],
  ['a number', 0],
  ['a boolean', false],
  ['a list', ['a']],
  ['an object', { a: 1 }],
])('a state that is %s is shown to the model', (_what, state) => {
  const { blocks } = toPrompt({ messages: [user('go')], context: [], state }, { slashCommands: true })
  expect(blocks[0]).toEqual({ type: 'text', text: `<state>\n${JSON.stringify(state)}\n</state>` })
})

test.each([undefined, null, '', {}, []])('the state %j counts as none', (state) => {
  const { blocks } = toPrompt({ messages: [user('go')], context: [], state }, { slashCommands: true })
  expect(blocks).toEqual([{ type: 'text', text: 'go' }])
})

test('the name of who writes goes before the words', () => {
  const { blocks } = toPrompt(
    { messages: [user('go', { name: 'Ann' })], context: [] },
    { slashCommands: true },
  )
  expect(blocks.map((block) => block.type === 'text' && block.text)).toEqual(['<name>\nAnn\n</name>', 'go'])
})

test.each([
  ['image/jpeg', 'HEIC', Buffer.from('\0\0\0\x20ftypheic\0\0\0\0mif1', 'latin1')],
  ['image/png', 'BMP', Buffer.from('BM6\0\0\0\0\0', 'latin1')],
  ['image/png', 'a text', Buffer.from('<svg/>')],
])('what is called %s and is %s is named, for Claude Code would drop it unsaid', (mimeType, _what, bytes) => {
  expect(promptOf(data('image', mimeType, bytes))).toMatchObject({
    blocks: [],
    skipped: [`an image of type ${mimeType} whose bytes are none`],
  })
})

test.each([
  ['image/png', '\x89PNG\r\n\x1a\n'],
  ['image/jpeg', '\xff\xd8\xff\xe0'],
  ['image/gif', 'GIF89a'],
  ['image/webp', 'RIFF\n\0\0\0WEBPVP8 '],
])('a picture goes as %s, which its bytes are, under whatever name', (type, head) => {
  const { blocks, skipped } = promptOf(data('image', 'image/pjpeg', Buffer.from(head, 'latin1')))
  expect([blocks, skipped]).toMatchObject([[{ type: 'image', source: { media_type: type } }], []])
})

test.each([
  ['data:text/plain;charset=iso-8859-1,caf%E9', 'café'],
  ['data:text/plain,caf%C3%A9 100%', 'café 100%'],
  ['data:,né', 'né'],
  ['data:text/plain;base64,bsOp', 'né'],
  ['data:text/plain;base64,Pz8%2FPz8%2F', '??????'],
])('the address %s is a text', (value, words) => {
  expect(promptOf({ type: 'document', source: { type: 'url', value } }).blocks).toEqual([textDocument(words)])
})

test('the bytes of a picture may be in its address', () => {
  const value = 'data:image/png,%89PNG%0D%0A%1A%0A%00'
  expect(promptOf({ type: 'image', source: { type: 'url', value } }).blocks).toMatchObject([
    { source: { media_type: 'image/png', data: 'iVBORw0KGgoA' } },
  ])
})

test('a text says by its mark that it is UTF-16', () => {
  const little = Buffer.from('\ufeffné', 'utf16le')
  const big = Buffer.from(little).swap16()
  for (const bytes of [little, big])
    expect(promptOf(data('document', 'text/csv', bytes)).blocks).toEqual([textDocument('né')])
})

test('a turn under way is given a text as words, and a PDF is named', () => {
  const parts = [
    data('document', 'text/csv', Buffer.from('a,b')),
    data('document', 'application/pdf', Buffer.from('%PDF')),
  ]
  const { blocks, skipped } = toPrompt(
    { messages: [user(parts)], context: [] },
    { slashCommands: true, isMidTurn: true },
  )
  expect(blocks).toEqual([{ type: 'text', text: '<document>\na,b\n</document>' }])
  expect(skipped).toEqual(['a PDF beside the words of a message to a turn under way'])
})

test('what an assistant thought and called before the thread began is named', () => {
  const call = { id: 'c', type: 'function' as const, function: { name: 'find', arguments: '{}' } }
  const { blocks, skipped } = toPrompt(
    {
      messages: [
        { id: 'r', role: 'reasoning', content: 'hm' },
        { id: 'a', role: 'assistant', content: 'Hello', toolCalls: [call] },
        user('go'),
      ],
      context: [],
    },
    { slashCommands: true },
  )
  expect(blocks).toHaveLength(2)
  expect(skipped).toEqual([
    'reasoning from before this conversation',
    'a call of find from before this conversation, and its result',
  ])
})
