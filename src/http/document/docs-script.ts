/**
 * The JavaScript of the documentation page: the search and the "Send" forms. It listens on the whole page, because the
 * forms may be inserted later, after the sign-in. It must follow SIGN_IN_SCRIPT.
 */
export const TRY_SCRIPT = `
const SHOWN_CHARS_MAX = 50000

document.addEventListener('input', ({ target }) => {
  if (target.id !== 'search') return
  const words = target.value.trim().toLowerCase()
  let found = 0
  for (const section of document.querySelectorAll('main section')) {
    let inside = 0
    for (const route of section.querySelectorAll('details')) {
      route.hidden = !route.textContent.toLowerCase().includes(words)
      if (!route.hidden) inside += 1
    }
    section.hidden = inside === 0
    found += inside
  }
  document.getElementById('nothing').textContent = found === 0 ? 'Nothing here has these words.' : ''
})

document.addEventListener('submit', (event) => {
  const form = event.target
  if (!form.matches('.try')) return
  event.preventDefault()
  const output = form.querySelector('output')
  output.textContent = 'Sending…'
  send(form, output).catch((error) => { output.textContent = String(error) })
})

async function send(form, output) {
  const query = new URLSearchParams()
  let path = form.dataset.path.slice(1)
  for (const { name, value, dataset } of form.querySelectorAll('input')) {
    if (dataset.in === 'path') path = path.replace('{' + name + '}', value.split('/').map(encodeURIComponent).join('/'))
    else if (value !== '') query.set(name, value)
  }
  const headers = new Headers()
  if (keptToken() !== null) headers.set('authorization', 'Bearer ' + keptToken())
  const body = form.querySelector('textarea')?.value
  if (body !== undefined) headers.set('content-type', 'application/json')
  const answer = await fetch('./' + path + (query.size > 0 ? '?' + query : ''), { method: form.dataset.method, headers, body })
  output.textContent = answer.status + ' ' + answer.statusText + '\\n'
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  for (let left = SHOWN_CHARS_MAX; left > 0 && reader !== undefined; ) {
    const { value, done } = await reader.read()
    if (done) return
    output.append(value.slice(0, left))
    left -= value.length
  }
  await reader?.cancel()
  output.append('\\n… and more')
}
`
