// Command lines of `dist/main.js`, one after the other in one process: for the many whose words alone are the point. What a process
// has of its own (a stdin, signals, a terminal, a user) is for one that is started for it.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { z } from 'zod'

const MAIN = new URL('../../dist/main.js', import.meta.url).href
const CHILD = new URL('./command-lines-child.mjs', import.meta.url)

const Said = z.strictObject({ code: z.number(), stdout: z.string(), stderr: z.string() })
export type Said = z.infer<typeof Said>

export interface CommandLines {
  /** Behind those before it; with PATH for an environment, and in the test's own folder, unless said. */
  run(words: readonly string[], place?: { env?: Record<string, string>; cwd?: string }): Promise<Said>
  close(): Promise<void>
}

export function openCommandLines(): CommandLines {
  const PATH = process.env['PATH'] ?? ''
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const
  const child = fork(CHILD, [MAIN], { execArgv: [], env: { PATH }, stdio: [...stdio] })
  const exited = once(child, 'exit')
  let before: Promise<unknown> = Promise.resolve()
  const runOne: CommandLines['run'] = async (words, { env = {}, cwd = process.cwd() } = {}) => {
    child.send({ words, cwd, env: { PATH, ...env } })
    const ended = exited.then(([code]) => {
      throw new Error(`"${words.join(' ')}" ended the process of the command lines (${code})`)
    })
    const [said] = await Promise.race([once(child, 'message'), ended])
    return Said.parse(said)
  }
  return {
    run(words, place) {
      const said = before.then(() => runOne(words, place))
      before = said.catch(() => undefined)
      return said
    },
    async close() {
      // A command may have taken the other signals for itself.
      child.kill('SIGKILL')
      await exited
    },
  }
}
