import type { Page } from '../page/page.ts'
import { SIGN_IN_FORM, SIGN_IN_SCRIPT, SIGN_IN_STYLE } from '../page/page-token.ts'
import { CONSOLE_STYLE } from './style.ts'
import { FORM_STYLE } from './style-forms.ts'
import { TRANSCRIPT_STYLE } from './style-transcript.ts'

/** The page around the module. It holds nothing of any thread: the module asks for what it shows, with the token. */
export function consolePage(version: string): Page {
  return {
    title: 'agui-runner',
    style: `${SIGN_IN_STYLE}${CONSOLE_STYLE}${TRANSCRIPT_STYLE}${FORM_STYLE}`,
    body: `${SIGN_IN_FORM}<div id="console"></div>`,
    script: SIGN_IN_SCRIPT,
    module: `console/${version}/main.js`,
  }
}
