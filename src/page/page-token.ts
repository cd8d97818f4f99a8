// The sign-in of a page. A browser tab cannot send a token header when it opens a page. So a page is open to everybody
// (after the Host and Origin checks) and contains nothing that needs a token. Its script fetches everything else with
// the token. A page includes SIGN_IN_STYLE and SIGN_IN_FORM, and begins its script with SIGN_IN_SCRIPT.

export const SIGN_IN_STYLE = `
#sign-in{max-width:26rem;margin:4rem auto;padding:0 1.25rem;font:.9375rem/1.5 system-ui,sans-serif}
#sign-in[hidden]{display:none}#sign-in h1{font-size:1.25rem;margin:0 0 1rem}#sign-in label{display:block;font-weight:600}
#sign-in div{display:flex;gap:.5rem;margin:.5rem 0}
#sign-in input{flex:1;min-width:0;padding:.35rem .6rem}#sign-in button{padding:.35rem .9rem;cursor:pointer}
#sign-in :is(input,button){font:inherit;color:inherit;background:light-dark(#f6f7f9,#20242a);border:1px solid light-dark(#8a929c,#7b8490);border-radius:7px}
#sign-in p{margin:.3rem 0}#sign-in [role=alert]{color:light-dark(#b3261e,#f2938c);min-height:1.5em}
`

/** The HTML of the form. It is hidden until the script needs the token. */
export const SIGN_IN_FORM =
  '<main id="sign-in" hidden><form autocomplete="off"><h1>Sign in to agui-runner</h1><label for="sign-in-token">Session token</label>' +
  '<div><input id="sign-in-token" type="password" autocomplete="off" required><button>Sign in</button></div>' +
  '<p role="alert"></p><p>The value of AGUI_TOKEN. It is kept for this tab only.</p></form></main>' +
  '<noscript><p>This page asks for the session token by a script; scripts are switched off here.</p></noscript>'

/**
 * The JavaScript of the sign-in. It defines two functions for the page's own script:
 * - `keptToken()`: the token of this tab, or null (for the WebSocket subprotocol `bearer.<token>`);
 * - `fetchSignedIn(url, options)`: `fetch` with the token. While the runner refuses the token, it shows the form with
 *   the reason and then sends the request again. It rejects only when `fetch` does.
 */
export const SIGN_IN_SCRIPT = `
const TOKEN_KEY = 'agui-runner.token'
const keptToken = () => sessionStorage.getItem(TOKEN_KEY)
let signingIn

async function fetchSignedIn(url, options = {}) {
  for (;;) {
    const token = keptToken()
    const headers = new Headers(options.headers)
    if (token !== null) headers.set('authorization', 'Bearer ' + token)
    const answer = await fetch(url, { ...options, headers })
    const refusal = await refusalOf(answer, token)
    if (refusal === undefined) return answer
    if (keptToken() === token) await askForToken(refusal)
  }
}

async function refusalOf(answer, token) {
  if (answer.status === 401) return token === null ? '' : 'The runner does not take this token.'
  if (answer.status !== 429) return undefined
  const { error } = await answer.clone().json().catch(() => ({}))
  return error?.details?.limit === 'AUTH_FAILURES_PER_MINUTE_MAX'
    ? 'The runner does not take this token, and there were too many wrong ones; try again in ' +
        answer.headers.get('retry-after') + ' s.'
    : undefined
}

function askForToken(problem) {
  signingIn ??= new Promise((resolve) => {
    const place = document.getElementById('sign-in')
    const form = place.querySelector('form')
    const field = form.querySelector('input')
    const show = (text) => { form.querySelector('[role=alert]').textContent = text }
    show(problem)
    place.hidden = false
    field.focus()
    form.onsubmit = (event) => {
      event.preventDefault()
      const token = field.value.trim()
      // Nothing else fits into a header.
      if (!/^[\\x20-\\x7e]+$/.test(token)) return show('A token has only plain characters.')
      sessionStorage.setItem(TOKEN_KEY, token)
      field.value = ''
      place.hidden = true
      signingIn = undefined
      resolve()
    }
  })
  return signingIn
}
`
