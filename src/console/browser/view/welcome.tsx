import type { VNode } from 'preact'

/** What the demo of the mock gateway answers, and a real model too. */
const EXAMPLES = [
  'Think, write a file hello.txt, run a command, then answer.',
  'Run ls -la',
  'Ask me a question.',
  'Use a subagent to look at the workspace.',
]

export function Welcome({ isFirst, onPick }: { isFirst: boolean; onPick(prompt: string): void }): VNode {
  return (
    <div id="welcome">
      <h3>What should Claude Code do?</h3>
      <p class="dim">
        It works in the workspace of this runner.
        {isFirst &&
          ' Each thread is a conversation of its own; what needs your word is marked in the list, and nothing is lost when you close this page.'}
      </p>
      <div class="examples">
        {EXAMPLES.map((prompt) => (
          <button key={prompt} type="button" onClick={() => onPick(prompt)}>
            {prompt}
          </button>
        ))}
      </div>
    </div>
  )
}
