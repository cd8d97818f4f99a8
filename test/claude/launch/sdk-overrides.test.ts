import { SYSTEM_PROMPT_DYNAMIC_BOUNDARY } from '@anthropic-ai/claude-agent-sdk'
import { expect, test } from 'vitest'
import { parseSdkOverrides } from '../../../src/claude/launch/sdk-overrides.ts'

const parse = (options: unknown) => parseSdkOverrides(JSON.stringify(options), { model: undefined, env: {} })

test.each([
  [{ system_prompt: 'Be kind.' }, { appendSystemPrompt: 'Be kind.' }],
  [
    { system_prompt: { type: 'preset', preset: 'claude_code', append: 'Be kind.' } },
    { appendSystemPrompt: 'Be kind.' },
  ],
  [{ system_prompt: { type: 'preset', preset: 'claude_code' } }, {}],
  [
    { system_prompt: { type: 'preset', preset: 'claude_code', append: null, excludeDynamicSections: true } },
    {},
  ],
  [
    { systemPrompt: ['One.', SYSTEM_PROMPT_DYNAMIC_BOUNDARY, 'Two.'] },
    { appendSystemPrompt: 'One.\n\nTwo.' },
  ],
  [{ systemPrompt: { type: 'custom', prompt: 'Be kind.' } }, { appendSystemPrompt: 'Be kind.' }],
  [{ system_prompt: '', model: null, max_turns: null }, {}],
  [{ systemPrompt: 'One.', appendSystemPrompt: 'Two.' }, { appendSystemPrompt: 'One.\n\nTwo.' }],
  [
    { max_turns: 3, allowed_tools: ['Read'] },
    { maxTurns: 3, allowedTools: ['Read'] },
  ],
])('%j is what both SDKs mean by it', (given, overrides) => {
  expect(parse(given)).toEqual({ overrides, unknown: [] })
})

test('what an agent says for other runners is left out and named', () => {
  const given = { permission_mode: 'bypassPermissions', mcpServers: {}, cwd: '/', max_turns: 2 }
  expect(parse(given)).toEqual({
    overrides: { maxTurns: 2 },
    unknown: ['permission_mode', 'mcpServers', 'cwd'],
  })
})

test.each([
  [{ max_turns: 'many' }, 'maxTurns'],
  [{ system_prompt: 7 }, 'systemPrompt: must be a text, {'],
  [{ system_prompt: { type: 'file', path: '/a' } }, 'systemPrompt: must be a text, {'],
  [['system_prompt'], 'the whole'],
])('%j is refused where it is wrong', (given, where) => {
  expect(() => parse(given)).toThrow(where)
})
