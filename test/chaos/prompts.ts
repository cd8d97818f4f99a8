// What is asked of the model, what it says to that, and what it says while its gateway fails.
import type { Script } from '../../src/mock/script.ts'
import type { Random } from '../support/random.ts'

const PER_SECOND = 5000
const COUNT_MAX = 4000
const [BEFORE, AFTER] = [40, 30]

const RULES: Script['rules'] = [
  {
    when: { prompt: 'count (\\d+)' },
    reply: [{ deltas: { count: '{{1}}', perSecond: PER_SECOND, text: '{{n}} ' } }],
  },
  {
    when: { prompt: 'work', round: 0 },
    reply: [
      { thinking: 'Let me think about it.', signature: 'sig', pieces: 5 },
      { deltas: { count: BEFORE, perSecond: PER_SECOND, text: 'a{{n}} ' } },
      { tool: 'Bash', input: { command: 'echo from-bash', description: 'say it' }, pieces: 10 },
    ],
  },
  { when: { prompt: 'work' }, reply: [{ deltas: { count: AFTER, perSecond: PER_SECOND, text: 'b{{n}} ' } }] },
  { reply: 'You said: {{prompt}}' },
]

export const CALM: Script = { rules: RULES }

const PARTIAL = { deltas: { count: 20, perSecond: PER_SECOND, text: 'partial {{n}} ' }, open: true }

/** What a gateway does that fails, whatever it is asked. */
export const GATEWAY_FAULTS: Readonly<Record<string, Script>> = {
  '401': failing({ error: { status: 401, type: 'authentication_error' } }),
  '429': failing({ error: { status: 429, type: 'rate_limit_error' } }),
  '529': failing({ error: { status: 529, type: 'overloaded_error' } }),
  'cut in order': failing(PARTIAL, { cut: true }),
  'cut off': failing(PARTIAL, { drop: true }),
  hang: failing(PARTIAL, { hang: true }),
}

function failing(...reply: Exclude<Script['rules'][number]['reply'], string>): Script {
  return { rules: [{ reply }] }
}

export interface Prompt {
  words: string
  /** The text of a run that nothing disturbs. */
  answer: string
}

export function anyPrompt(random: Random): Prompt {
  if (random(3) === 0) return { words: 'work', answer: numbered('a', BEFORE) + numbered('b', AFTER) }
  const count = 1 + random(COUNT_MAX)
  return { words: `count ${count}`, answer: numbered('', count) }
}

function numbered(letter: string, count: number): string {
  return Array.from({ length: count }, (_, index) => `${letter}${index + 1} `).join('')
}
