import type { Page } from '../page/page.ts'
import { SIGN_IN_FORM, SIGN_IN_SCRIPT, SIGN_IN_STYLE } from '../page/page-token.ts'
import { CONSOLE_STYLE } from './style.ts'

/** What the demo of the mock gateway answers, and a real model too. */
const EXAMPLES = [
  'Think, write a file hello.txt, run a command, then answer.',
  'Run ls -la',
  'Ask me a question.',
  'Use a subagent to look at the workspace.',
]

/** Holds nothing of any session: its modules ask for all that is shown, with the token. */
export function consolePage(version: string): Page {
  return {
    title: 'agui-runner',
    style: `${SIGN_IN_STYLE}${CONSOLE_STYLE}`,
    body: `${SIGN_IN_FORM}${BODY}`,
    script: SIGN_IN_SCRIPT,
    module: `console/${version}/main.js`,
  }
}

const BODY = `<div id="console">
<header>
<button type="button" id="show-threads" aria-controls="threads" aria-expanded="false">Threads</button>
<h1>agui-runner</h1>
<details id="readiness"></details>
<a href="docs">API</a>
</header>
<nav id="threads" aria-label="Threads">
<button type="button" id="new-thread">New thread</button>
<p id="list-problem" class="bad" role="alert"></p>
<p id="no-threads" class="dim" hidden>No threads yet.</p>
<ul id="thread-list"></ul>
</nav>
<main>
<div id="thread">
<h2 id="thread-name"></h2><span id="thread-state" class="badge"></span>
<span class="buttons"><button type="button" id="interrupt" class="danger" hidden>Interrupt</button><button type="button" id="forget" class="quiet" hidden>Forget</button></span>
<p id="thread-facts" class="dim"></p>
</div>
<p id="link" role="status"></p>
<section id="transcript" tabindex="0" aria-label="Transcript">
<div id="welcome"><h3>What should Claude Code do?</h3><p class="dim">It works in the workspace of this runner. For example:</p>
<p>${EXAMPLES.map((prompt) => `<button type="button">${prompt}</button>`).join('')}</p></div>
</section>
<button type="button" id="to-end" hidden>Newest ↓</button>
<section id="interrupts" aria-label="Waits for your answer" hidden></section>
<form id="composer" aria-label="Composer">
<label for="prompt" class="hidden">Prompt</label>
<textarea id="prompt" rows="2"></textarea>
<button id="send" class="primary">Send</button>
<fieldset id="delivery" hidden><legend class="hidden">The run under way</legend>
<label><input type="radio" name="delivery" id="steer" value="steer" checked> Steer: its next step sees it</label>
<label><input type="radio" name="delivery" id="queue" value="queue"> Queue: a run of its own afterwards</label></fieldset>
<p id="composer-problem" class="bad" role="alert"></p>
</form>
</main>
<dialog id="forgetting" aria-label="Forget this thread"><p>Forget this thread? Its run is stopped, its log is deleted.</p>
<p><button type="button" id="forget-yes" class="danger">Forget</button> <button type="button" id="forget-no">Keep</button></p></dialog>
<p id="status" role="status" class="hidden"></p>
</div>`
