import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { ResumeEntry } from '@agui-runner/client'
import { type AskedChoice, type AskedOnce, callText, chosenOf } from '../agui/asked.ts'
import { printable } from '../printable.ts'

/** Answers the interrupts of a run. `undefined` leaves them open for a later `--continue`. */
export interface Person {
  answer(asked: readonly AskedOnce[], signal: AbortSignal): Promise<ResumeEntry[] | undefined>
}

type Ask = (text: string) => Promise<string | undefined>

/** Upper bound of the shown tool call, in characters. */
const INPUT_CHARS = 4000

/** Asks on the terminal. Its line mode stays on, so Ctrl-C is still a signal. Ctrl-D leaves all interrupts open. */
export function personAt(input: Readable, output: Writable): Person {
  return {
    async answer(asked, signal) {
      const lines = createInterface({ input, terminal: false })
      const leave = (): void => lines.close()
      signal.addEventListener('abort', leave, { once: true })
      if (signal.aborted) leave()
      const iterator = lines[Symbol.asyncIterator]()
      const ask: Ask = async (text) => {
        output.write(printable(text))
        const { value, done } = await iterator.next()
        return done === true || signal.aborted ? undefined : String(value).trim()
      }
      try {
        const entries: ResumeEntry[] = []
        for (const one of asked) {
          const entry = await entryFor(one, ask)
          if (entry === undefined) return undefined
          entries.push({ interruptId: one.id, ...entry })
        }
        return entries
      } finally {
        signal.removeEventListener('abort', leave)
        lines.close()
        // A terminal that is being read keeps the process alive.
        input.pause()
      }
    },
  }
}

type Entry = Omit<ResumeEntry, 'interruptId'>

async function entryFor(asked: AskedOnce, ask: Ask): Promise<Entry | undefined> {
  switch (asked.kind) {
    case 'call':
    case 'plan':
      return await askApproval(asked, ask)
    case 'questions':
      return await askQuestions(asked.choices, ask)
    case 'other': {
      const said = await ask(
        `\n${asked.message}\nThis has a form, which only the console shows. [Enter] dismisses it: `,
      )
      return said === undefined ? undefined : { status: 'cancelled' }
    }
  }
}

async function askApproval(asked: AskedOnce, ask: Ask): Promise<Entry | undefined> {
  const { kind, message } = asked
  const isCall = kind === 'call'
  const shown = isCall ? `\n${callText(asked, INPUT_CHARS)}` : ''
  let text = `\n${message}${shown}\n`
  while (true) {
    const said = await ask(
      `${text}[y]es, ${isCall ? '[a]lways in this session, ' : ''}[n]o, or what to do instead: `,
    )
    if (said === undefined) return undefined
    if (/^y(es)?$/i.test(said)) return { status: 'resolved', payload: { approved: true } }
    if (isCall && /^a(lways)?$/i.test(said))
      return { status: 'resolved', payload: { approved: true, remember: true } }
    if (/^no?$/i.test(said)) return { status: 'resolved', payload: { approved: false } }
    if (said !== '') return { status: 'resolved', payload: { approved: false, message: said } }
    text = ''
  }
}

async function askQuestions(choices: readonly AskedChoice[], ask: Ask): Promise<Entry | undefined> {
  const answers: Record<string, string | string[]> = {}
  for (const choice of choices) {
    const { question, options, multiSelect } = choice
    const list = options.map(({ label, description }, index) => `  ${index + 1}  ${label}  ${description}`)
    let said: string | undefined = ''
    while (said === '')
      said = await ask(
        `\n${question}\n${list.join('\n')}\n${multiSelect ? 'Numbers with commas' : 'A number'}, or your own words: `,
      )
    if (said === undefined) return undefined
    answers[question] = chosenOf(choice, said)
  }
  return { status: 'resolved', payload: { answers } }
}

const NOBODY = 'Nobody is there to ask: the run was started without a terminal. Go on without it.'

/** Refuses or cancels every interrupt, and reports each to `onRefused`. For a process without a terminal. */
export function nobody(onRefused: (asked: AskedOnce) => void): Person {
  return {
    async answer(asked) {
      return asked.map((one): ResumeEntry => {
        onRefused(one)
        return one.kind === 'call' || one.kind === 'plan'
          ? { interruptId: one.id, status: 'resolved', payload: { approved: false, message: NOBODY } }
          : { interruptId: one.id, status: 'cancelled' }
      })
    },
  }
}
