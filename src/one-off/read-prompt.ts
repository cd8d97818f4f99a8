import { fstatSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { RunnerError, toMessage } from '../errors.ts'

export interface PromptSources {
  text: string | undefined
  /** The path of a file; `-` is stdin. */
  file: string | undefined
  stdin: Readable & { fd?: number; isTTY?: boolean }
  signal: AbortSignal
  /** Prints one line for the person. */
  say(line: string): void
}

/** Limit of the wait for stdin when there is a prompt already, in milliseconds: that of `claude -p`. */
const STDIN_MS = 3000

/**
 * Reads the prompt from the argument, a file or stdin. With an argument or a file, piped input is appended to it
 * (`git diff | agui-runner run --here --prompt "review"`).
 *
 * @throws {RunnerError} `config_invalid` when there is no prompt, both are named, or a source cannot be read.
 */
export async function readPrompt({ text, file, stdin, signal, say }: PromptSources): Promise<string> {
  if (text !== undefined && file !== undefined) throw wrong('give --prompt or --prompt-file, not both')
  if (stdin.isTTY === true && text === undefined && (file === undefined || file === '-'))
    throw wrong('there is no prompt: give --prompt or --prompt-file, or pipe one in')
  const own = file === undefined || file === '-' ? text : await readPromptFile(file)
  const piped = own === undefined ? await readAll(stdin, signal) : await readPiped(stdin, signal, say)
  const prompt = [own, piped].filter((part) => part !== undefined && part.trim() !== '').join('\n\n')
  if (prompt === '') throw wrong('the prompt is empty')
  return prompt
}

async function readPromptFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw wrong(`--prompt-file cannot be read: ${toMessage(error)}`)
  }
}

/** Reads piped input. A program may have left stdin open, so a pipe that stays silent is given up after `STDIN_MS`. */
async function readPiped(
  stdin: PromptSources['stdin'],
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<string | undefined> {
  if (!isPiped(stdin)) return undefined
  const hasBegun = new Promise<true>((resolve) => {
    stdin.once('readable', () => resolve(true))
    stdin.once('end', () => resolve(true))
  })
  const silence = new AbortController()
  const isSilent = delay(STDIN_MS, false, { signal: silence.signal }).catch(() => false)
  const begun = await Promise.race([hasBegun, isSilent])
  silence.abort()
  if (begun) return await readAll(stdin, signal)
  say(`nothing came on stdin for ${STDIN_MS / 1000} s: going on without it (</dev/null says so at once)`)
  stdin.destroy()
  return undefined
}

/** Whether stdin may carry input; a terminal and /dev/null do not. */
function isPiped({ fd, isTTY }: PromptSources['stdin']): boolean {
  if (isTTY === true || fd === undefined) return false
  try {
    const stat = fstatSync(fd)
    return stat.isFIFO() || stat.isFile() || stat.isSocket()
  } catch {
    // stdin is closed.
    return false
  }
}

async function readAll(stdin: Readable, signal: AbortSignal): Promise<string> {
  const leave = (): unknown => stdin.destroy()
  signal.addEventListener('abort', leave, { once: true })
  const chunks: Buffer[] = []
  try {
    for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  } catch (error) {
    // The caller that aborted reports it.
    if (!signal.aborted) throw wrong(`stdin cannot be read: ${toMessage(error)}`)
  } finally {
    signal.removeEventListener('abort', leave)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function wrong(problem: string): RunnerError {
  return new RunnerError('config_invalid', `${problem}.`)
}
