import { expect, test } from 'vitest'
import type { RequestFacts } from '../../src/mock/request-facts.ts'
import { createRuleBook } from '../../src/mock/rule-book.ts'
import type { Condition, Script, ScriptStep } from '../../src/mock/script.ts'

const FACTS: RequestFacts = {
  model: 'claude-opus-5-5',
  stream: true,
  prompt: 'Please run `ls -la`\nin the workspace',
  note: '',
  results: [],
  round: 0,
  nudges: 0,
  subagent: false,
  tools: ['Bash', 'Write'],
  messages: '[{"role":"user","content":"said before"}]',
  cwd: '/sandbox/workspace',
}
const BASH = { id: 'toolu_1', tool: 'Bash', text: 'total 12', isError: false }
const WRITE = { id: 'toolu_2', tool: 'Write', text: 'EACCES: denied', isError: true }

const bookOf = (when: Condition | undefined, reply: Script['rules'][number]['reply'] = 'yes') =>
  createRuleBook({ rules: [{ ...(when === undefined ? {} : { when }), reply }] })

const fits = (when: Condition, facts: Partial<RequestFacts> = {}): boolean =>
  bookOf(when).match({ ...FACTS, ...facts }) !== undefined

const stepsFor = (
  when: Condition,
  reply: (string | ScriptStep)[],
  facts: Partial<RequestFacts> = {},
): readonly ScriptStep[] => bookOf(when, reply).match({ ...FACTS, ...facts })?.steps ?? []

test.each<[string, Condition, Partial<RequestFacts>, boolean]>([
  ['a prompt, whatever its case', { prompt: 'RUN' }, {}, true],
  ['a prompt over several lines', { prompt: 'run.*workspace$' }, {}, true],
  ['another prompt', { prompt: '^run' }, {}, false],
  ['a model', { model: 'opus' }, {}, true],
  ['another model', { model: 'haiku' }, {}, false],
  ['a round', { round: 0 }, {}, true],
  ['another round', { round: 1 }, {}, false],
  ['a range of rounds', { round: { min: 1, max: 2 } }, { round: 2 }, true],
  ['a round above the range', { round: { max: 2 } }, { round: 3 }, false],
  ['a round below the range', { round: { min: 1 } }, {}, false],
  ['no nudges', { nudges: 0 }, { nudges: 1 }, false],
  ['a subagent', { subagent: true }, {}, false],
  ['not a subagent', { subagent: false }, {}, true],
  ['streaming', { stream: false }, {}, false],
  ['an offered tool', { offers: 'Bash' }, {}, true],
  ['tools of which one is missing', { offers: ['Bash', 'Agent'] }, {}, false],
  ['a note', { note: 'steer' }, { note: 'Steer me' }, true],
  ['a missing note', { note: 'steer' }, {}, false],
  ['any result when there is none', { result: {} }, {}, false],
  ['a result of a tool', { result: { tool: 'Bash' } }, { results: [BASH, WRITE] }, true],
  ['a result of another tool', { result: { tool: 'Read' } }, { results: [BASH, WRITE] }, false],
  [
    'an error of the tool that had none',
    { result: { tool: 'Bash', isError: true } },
    { results: [BASH, WRITE] },
    false,
  ],
  ['an error', { result: { isError: true } }, { results: [BASH, WRITE] }, true],
  ['a result text', { result: { matches: 'TOTAL \\d+' } }, { results: [BASH] }, true],
  ['another result text', { result: { matches: 'files' } }, { results: [BASH] }, false],
])('%s', (_name, when, facts, expected) => {
  expect(fits(when, facts)).toBe(expected)
})

test('the first rule that fits answers, one that is used up is passed over', () => {
  const book = createRuleBook({
    rules: [
      { name: 'twice', when: { prompt: 'run' }, times: 2, reply: 'a' },
      { when: { prompt: 'never' }, reply: 'b' },
      { reply: 'c' },
    ],
  })
  const rules = [1, 2, 3, 4].map(() => book.match(FACTS)?.rule)
  expect(rules).toEqual(['twice', 'twice', 'rules[2]', 'rules[2]'])
})

test('no rule: no match', () => {
  expect(createRuleBook({ rules: [] }).match(FACTS)).toBeUndefined()
})

test('templates take the prompt, its groups, the result, its groups and the working directory', () => {
  const when: Condition = {
    prompt: 'run `(.+?)`(?<rest>.*)',
    result: { tool: 'Bash', matches: 'total (\\d+)' },
  }
  const reply = [
    '{{1}} in {{cwd}}: {{result}}, {{result.1}} blocks, round {{round}} of {{model}}',
    '{{ rest }}',
  ]
  const [first, second] = stepsFor(when, reply, { results: [BASH, WRITE], round: 1 })
  expect(first).toEqual({
    text: 'ls -la in /sandbox/workspace: total 12, 12 blocks, round 1 of claude-opus-5-5',
  })
  expect(second).toEqual({ text: '\nin the workspace' })
})

test('a template falls back when its value is empty, and stays when nobody knows it', () => {
  const [step] = stepsFor({ prompt: '(nothing)?' }, ['{{1|default}} {{1}}|{{n}} {{unknown|x}}'])
  expect(step).toEqual({ text: 'default |{{n}} {{unknown|x}}' })
})

test('templates reach into tool inputs and are not read twice', () => {
  const input = { command: '{{prompt}}', deep: [{ at: '{{cwd}}' }], count: 3 }
  const [step] = stepsFor({}, [{ tool: 'Bash', input }], { prompt: 'say {{cwd}}' })
  expect(step).toEqual({
    tool: 'Bash',
    input: { command: 'say {{cwd}}', deep: [{ at: '/sandbox/workspace' }], count: 3 },
  })
})

test('connect faults are given out as often as the script says', () => {
  const book = createRuleBook({ connect: { fault: 'reset', times: 2 }, rules: [] })
  expect([book.nextConnectFault(), book.nextConnectFault(), book.nextConnectFault()]).toEqual([
    'reset',
    'reset',
    undefined,
  ])
  const always = createRuleBook({ connect: { fault: 'silent' }, rules: [] })
  expect([always.nextConnectFault(), always.nextConnectFault()]).toEqual(['silent', 'silent'])
})
