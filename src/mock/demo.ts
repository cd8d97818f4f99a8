import type { Script, ScriptStep } from './script.ts'

/** Wait between the demo's words, in milliseconds: slow enough to see the stream, fast enough not to bore. */
const WORD_MS = 12

type DemoRule = Script['rules'][number]

const say = (text: string): ScriptStep => ({ text, pieces: 'words', everyMs: WORD_MS })
const think = (thinking: string): ScriptStep => ({
  thinking,
  pieces: 'words',
  everyMs: WORD_MS,
  signature: 'demo',
})
/** Returns one text block: words first, then a result in one piece, because it may be long. */
const sayWith = (text: string, quoted: string): ScriptStep[] => [
  { text, pieces: 'words', everyMs: WORD_MS, open: true },
  { text: quoted },
]
const call = (tool: string, input: Record<string, unknown>): ScriptStep => ({
  tool,
  input,
  pieces: 6,
  everyMs: WORD_MS,
})

const PLEASE = '^\\W*(?:please\\s+)?'
const QUOTED_RESULT = '```\n{{result}}\n```'

const WRITE = '\\b(?:write|create|make)\\b.*?\\bfile\\b(?:[^.]*?\\b([\\w-][\\w/-]*\\.\\w{1,8})\\b)?'
const FILE = '{{1|hello.txt}}'
const CONTENT = 'Hello from Claude Code inside agui-runner.\nYou asked: {{prompt}}\n'
const WRITE_RULES: DemoRule[] = [
  {
    name: 'write',
    when: { prompt: WRITE, round: 0, offers: 'Write' },
    reply: [
      think(
        `The person wants a file. I will write ${FILE} into the workspace, look at it with a command, and then answer.`,
      ),
      say(`I'll write \`${FILE}\` first.`),
      call('Write', { file_path: `{{cwd|.}}/${FILE}`, content: CONTENT }),
    ],
  },
  {
    name: 'write without the Write tool',
    when: { prompt: WRITE, round: 0, offers: 'Bash' },
    reply: [
      think('There is no Write tool here, so a command has to write the file.'),
      say(`I'll write \`${FILE}\` with a command.`),
      call('Bash', {
        command: `mkdir -p "$(dirname '${FILE}')" && echo 'Hello from Claude Code inside agui-runner.' > '${FILE}' && cat '${FILE}'`,
        description: `Write ${FILE} and show it`,
      }),
    ],
  },
  {
    name: 'look at the written file',
    when: { prompt: WRITE, result: { tool: 'Write', isError: false } },
    reply: [
      say('Written. Now a command, to see that it is really there.'),
      call('Bash', { command: `ls -l '${FILE}' && cat '${FILE}'`, description: `Show ${FILE}` }),
    ],
  },
  {
    name: 'answer after writing',
    when: { prompt: WRITE, result: { tool: 'Bash', isError: false } },
    reply: sayWith(
      `Done: \`${FILE}\` is in the workspace, and this is what the command printed:\n\n`,
      QUOTED_RESULT,
    ),
  },
]

const RUN_RULES: DemoRule[] = [
  {
    name: 'run any command',
    when: { prompt: `${PLEASE}run\\s+(?:a|some|any)\\s+command`, round: 0, offers: 'Bash' },
    reply: [
      say('I pick one.'),
      call('Bash', { command: 'uname -sr && date && pwd', description: 'Look around' }),
    ],
  },
  {
    name: 'run',
    when: {
      prompt: `${PLEASE}run\\s+(?:the\\s+)?(?:command\\s+)?[\`"']?(.+?)[\`"']?\\s*$`,
      round: 0,
      offers: 'Bash',
    },
    reply: [say("I'll run that."), call('Bash', { command: '{{1}}', description: 'Run what was asked for' })],
  },
  {
    name: 'answer after running',
    when: { prompt: `${PLEASE}run\\b`, result: { tool: 'Bash', isError: false } },
    reply: sayWith('The command printed:\n\n', QUOTED_RESULT),
  },
]

const SUBAGENT_RULES: DemoRule[] = [
  {
    name: 'inside the subagent',
    when: { subagent: true, round: 0, offers: 'Bash' },
    reply: [
      think('I am the subagent. I look at the workspace and report.'),
      say('Looking around.'),
      call('Bash', { command: 'ls -la', description: 'List the workspace' }),
    ],
  },
  {
    name: 'report of the subagent',
    when: { subagent: true },
    reply: sayWith('The workspace holds:\n', '{{result}}'),
  },
  {
    name: 'subagent',
    when: { prompt: '\\bsub-?agents?\\b', round: 0, offers: 'Agent' },
    reply: [
      say("I'll hand that to a subagent."),
      call('Agent', {
        description: 'Look at the workspace',
        prompt: 'List the files of the workspace and report what is there.',
        subagent_type: 'general-purpose',
      }),
    ],
  },
  {
    name: 'answer after the subagent',
    when: { prompt: '\\bsub-?agents?\\b', result: { tool: 'Agent', isError: false } },
    reply: [say('The subagent came back with its report.')],
  },
  {
    name: 'a background task ended',
    when: { prompt: '^<task-notification>' },
    reply: [say('The task in the background has ended.')],
  },
]

const OTHER_RULES: DemoRule[] = [
  {
    name: 'fail',
    when: { prompt: `${PLEASE}fail\\b` },
    reply: [
      {
        error: {
          status: 500,
          headers: { 'x-should-retry': 'false' },
          message: 'The demo was asked to fail.',
        },
      },
    ],
  },
  {
    name: 'ask',
    when: { prompt: `${PLEASE}ask\\b`, round: 0, offers: 'AskUserQuestion' },
    reply: [
      say('One question before I go on.'),
      call('AskUserQuestion', {
        questions: [
          {
            question: 'Which colour should it be?',
            header: 'Colour',
            multiSelect: false,
            options: [
              { label: 'Green', description: 'The colour of passing tests' },
              { label: 'Blue', description: 'The colour of links' },
            ],
          },
        ],
      }),
    ],
  },
  {
    name: 'answer after asking',
    when: { prompt: `${PLEASE}ask\\b`, result: { tool: 'AskUserQuestion', isError: false } },
    reply: sayWith('Thank you. ', '{{result}}'),
  },
  {
    name: 'nobody to ask',
    when: { prompt: `${PLEASE}ask\\b`, round: 0 },
    reply: [say('I would ask, but this session offers no way to reach a person.')],
  },
  {
    name: 'long',
    when: { prompt: `${PLEASE}(?:a\\s+)?long\\b\\D*(\\d+)?` },
    reply: [{ deltas: { count: '{{1|2000}}', perSecond: 1000, text: '{{n}} ' } }],
  },
  {
    name: 'think',
    when: { prompt: `${PLEASE}think\\b`, round: 0 },
    reply: [
      think(
        'What could be thought about here? The prompt says to think, so the thinking itself is the point. ' +
          'It streams as reasoning, word by word, it is signed at the end, and only then comes the answer.',
      ),
      say('I thought about it. The reasoning above came before this answer, as its own message.'),
    ],
  },
]

const LAST_RULES: DemoRule[] = [
  {
    name: 'a tool failed',
    when: { result: { isError: true } },
    reply: sayWith('That did not work. The tool said:\n\n', QUOTED_RESULT),
  },
  {
    name: 'anything else',
    reply: sayWith(
      'This is the demo of the mock gateway: no model, but a real Claude Code that runs its tools. Try: ' +
        '"Think, write a file hello.txt, run a command, then answer.", "run ls -la", "think", "ask", ' +
        '"long 5000", "subagent", "fail". You said: ',
      '{{prompt}}',
    ),
  },
]

/** The script of a mock that is given none. Its last rule answers every request. */
export const DEMO: Script = {
  rules: [...SUBAGENT_RULES, ...WRITE_RULES, ...RUN_RULES, ...OTHER_RULES, ...LAST_RULES],
}
