import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DEMO } from '../../src/mock/demo.ts'
import { MockError } from '../../src/mock/mock-error.ts'
import { createRuleBook } from '../../src/mock/rule-book.ts'
import { parseScript } from '../../src/mock/script.ts'

function problemsOf(text: string): string[] {
  try {
    parseScript(text, 'my.yaml')
  } catch (error) {
    expect(error).toBeInstanceOf(MockError)
    return error instanceof Error ? error.message.split('\n') : []
  }
  throw new Error('the script was accepted')
}

test('YAML and JSON give the same script, a text alone is one text step', () => {
  const yaml = 'model: m\nrules:\n  - when: { prompt: hi, round: 0 }\n    reply: hello\n'
  const json = '{"model": "m", "rules": [{"when": {"prompt": "hi", "round": 0}, "reply": "hello"}]}'
  const script = { model: 'm', rules: [{ when: { prompt: 'hi', round: 0 }, reply: [{ text: 'hello' }] }] }
  expect(parseScript(yaml, 'a')).toEqual(script)
  expect(parseScript(json, 'b')).toEqual(script)
})

test('a step knows its kind and keeps every field', () => {
  const reply = [
    { text: ['a', 'b'], everyMs: 5, open: true },
    { thinking: 'hm', signature: 's', pieces: 'words' },
    { tool: 'Bash', input: { command: 'ls' }, id: 'toolu_1', pieces: 3 },
    { deltas: { count: 5, perSecond: 10, text: '{{n}}' } },
    { usage: { input: 1, cacheRead: 2 } },
    { stop: 'max_tokens' },
    { error: { status: 429, headers: { 'retry-after': '1' } } },
  ]
  expect(parseScript(JSON.stringify({ rules: [{ reply }] }), 'a').rules[0]?.reply).toEqual(reply)
})

test.each([
  [
    'rules:\n  - reply:\n      - txt: hello\n',
    /^my\.yaml:3:9: rules\[0\]\.reply\[0\]: a step is a text or an object with one of: text, /,
  ],
  [
    'rules:\n  - reply:\n      - tool: Bash\n        inptu: {}\n',
    /^my\.yaml:3:9: rules\[0\]\.reply\[0\]: Unrecognized key: "inptu"/,
  ],
  [
    'rules:\n  - reply:\n      - { pause: soon }\n',
    /^my\.yaml:3:18: rules\[0\]\.reply\[0\]\.pause: Invalid input: expected number/,
  ],
  [
    'rules:\n  - when: { prompt: "(" }\n    reply: x\n',
    /^my\.yaml:2:21: rules\[0\]\.when\.prompt: not a valid regular expression/,
  ],
  [
    'rules:\n  - when: { promt: x }\n    reply: x\n',
    /^my\.yaml:2:11: rules\[0\]\.when: Unrecognized key: "promt"/,
  ],
  ['rules:\n  - times: 0\n    reply: x\n', /^my\.yaml:2:12: rules\[0\]\.times: Too small/],
  ['model: x\n', /^my\.yaml:1:1: rules: Invalid input: expected array/],
  ['rules: [\n', /^my\.yaml:2:1: /],
  ['- 1\n', /^my\.yaml:1:1: script: Invalid input: expected object/],
])('%j is refused with its place', (text, problem) => {
  expect(problemsOf(text)).toEqual([expect.stringMatching(problem)])
})

test('all problems are told together', () => {
  expect(problemsOf('rules:\n  - { times: 0, reply: [{ pause: -1 }, 5] }\n')).toHaveLength(3)
})

test('a script made in code is checked too', () => {
  expect(() => createRuleBook({ rules: [{ when: { prompt: '[' }, reply: 'x' }] })).toThrow(
    /rules\.0\.when\.prompt/,
  )
})

test('the demo is a valid script', () => {
  expect(() => parseScript(JSON.stringify(DEMO), 'demo')).not.toThrow()
})

test('every example of the page is a valid script', () => {
  const page = readFileSync('docs/mock-gateway.md', 'utf8')
  const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
  expect(examples.length).toBeGreaterThan(3)
  for (const example of examples) expect(() => parseScript(example, 'example')).not.toThrow()
})

test('every kind of step is on the page', () => {
  expect(readdirSync('docs')).toContain('mock-gateway.md')
  const page = readFileSync('docs/mock-gateway.md', 'utf8')
  const kinds =
    /one of: (.*)$/.exec(problemsOf('rules: [{ reply: [{ no: 1 }] }]')[0] ?? '')?.[1]?.split(', ') ?? []
  expect(kinds.length).toBeGreaterThan(15)
  for (const kind of kinds) expect(page).toContain(`\`${kind}\``)
})
