import type { VNode } from 'preact'
import type { RunChoices } from '../model/run-choices.ts'
import type { ConsoleState } from '../state/console-state.ts'

interface Example {
  prompt: string
  /** Permissions that it needs to show what it is for. */
  permissionMode?: 'ask'
}

/** The mock gateway's demo answers each of them, and so does a real model. */
const EXAMPLES: readonly Example[] = [
  { prompt: 'Think, write a file hello.txt, run a command, then answer.' },
  { prompt: 'Write a file notes.md, and ask me before you do.', permissionMode: 'ask' },
  { prompt: 'Ask me a question.', permissionMode: 'ask' },
  { prompt: 'Use a subagent to look at the workspace.' },
]

interface WelcomeProps {
  state: Pick<ConsoleState, 'isListed' | 'threads' | 'facts'>
  /** The thread has records, and they are on their way. */
  isComing: boolean
  onPick(prompt: string, choices: RunChoices): void
}

/** What stands in the place of a transcript that is not there. */
export function Welcome({ state: { isListed, threads, facts }, isComing, onPick }: WelcomeProps): VNode {
  if (isComing)
    return <p class="row dim">{facts?.state === 'running' ? 'The run is about to begin…' : 'Loading…'}</p>
  return (
    <div id="welcome">
      <h3>What should Claude Code do?</h3>
      <p class="dim">
        It works in the workspace of this runner.
        {isListed &&
          threads.length === 0 &&
          ' Each thread is a conversation of its own; what needs your word is marked in the list, and nothing is lost when you close this page.'}
      </p>
      <div class="examples">
        {EXAMPLES.map(({ prompt, ...choices }) => (
          <button key={prompt} type="button" onClick={() => onPick(prompt, choices)}>
            {prompt}
          </button>
        ))}
      </div>
    </div>
  )
}
