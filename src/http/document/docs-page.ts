import { escapeHtml, type Page } from '../../page/page.ts'
import { SIGN_IN_FORM, SIGN_IN_SCRIPT, SIGN_IN_STYLE } from '../../page/page-token.ts'
import { TRY_SCRIPT } from './docs-script.ts'
import type { DocumentedResponse, OpenApiDocument, Operation, Parameter } from './openapi.ts'

type Json = Record<string, unknown>

/** The sections of the page, in the order that suits a reader who does not know the runner. */
const SECTIONS: readonly { tag: string; title: string }[] = [
  { tag: 'runs', title: 'Runs' },
  { tag: 'threads', title: 'Threads' },
  { tag: 'workspace', title: 'Workspace' },
  { tag: 'platform', title: 'Platform' },
  { tag: 'server', title: 'Server' },
]

interface Route {
  method: string
  path: string
  operation: Operation
}

/** Renders the document as a page: every route folded up, with a search and a form to send requests. */
export function renderDocs(document: OpenApiDocument): Page {
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  )
  const sections = SECTIONS.map((section) => ({
    ...section,
    routes: routes.filter(({ operation }) => operation.tags.includes(section.tag)),
  })).filter((section) => section.routes.length > 0)
  const { info, components } = document
  // The runner's own events are shown with the events.
  const own = new Set(ownEventsOf(components.schemas))
  const schemas = Object.entries(components.schemas).filter(([, schema]) => !own.has(schema))
  const navigation = sections.map(
    ({ tag, title, routes: tagged }) => `<a href="#${tag}">${title}<small>${tagged.length}</small></a>`,
  )
  const body = [
    `<header><h1>${text(info.title)} <small>${text(info.version)}</small></h1>`,
    `<p>${text(info.description)}</p>`,
    `<nav>${navigation.join('')}<a href="#events">Events<small>${eventsOf(document).length}</small></a>`,
    `<a href="#schemas">Schemas<small>${schemas.length}</small></a>`,
    `<a href="openapi.json">openapi.json</a></nav>`,
    `<input type="search" id="search" placeholder="Search routes, events and schemas" aria-label="Search routes, events and schemas">`,
    `<p id="nothing" role="status"></p></header><main>`,
    ...sections.map(
      ({ tag, title, routes: tagged }) =>
        `<section id="${tag}"><h2>${title}</h2>${tagged.map(renderRoute).join('')}</section>`,
    ),
    `<section id="events"><h2>Events</h2>${eventsOf(document).map(renderEvent).join('')}</section>`,
    `<section id="schemas"><h2>Schemas</h2>${schemas.map(renderSchema).join('')}</section>`,
    '</main>',
  ]
  return {
    title: `${info.title} API`,
    style: STYLE,
    body: body.join(''),
    script: `${SIGN_IN_SCRIPT}${TRY_SCRIPT}`,
  }
}

function renderRoute({ method, path, operation }: Route): string {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation
  const parts = [
    description === undefined || description === summary ? '' : `<p>${text(description)}</p>`,
    renderParameters(parameters),
    requestBody === undefined
      ? ''
      : `<h3>Body${requestBody.required ? '' : ' <small>may be left out</small>'}</h3>${renderContent(requestBody.content)}`,
    `<h3>Answers</h3><table>${Object.entries(responses).map(renderResponse).join('')}</table>`,
    `<h3>Try it</h3><pre tabindex="0">${text(curlOf({ method, path, operation }))}</pre>${renderTry({ method, path, operation })}`,
  ]
  return (
    `<details id="${text(operationId)}"><summary><b class="${text(method)}">${text(method.toUpperCase())}</b>` +
    `<code>${text(path)}</code><span>${text(summary)}</span></summary><div>${parts.join('')}</div></details>`
  )
}

/** Renders the form that TRY_SCRIPT sends: a field for each parameter, and the example body. */
function renderTry({ method, path, operation }: Route): string {
  const { requestBody, parameters = [] } = operation
  const example = requestBody?.content['application/json']?.example
  const fields = parameters
    .filter((parameter) => parameter.in !== 'header')
    .map(
      ({ name, in: place, required }) =>
        `<label>${text(name)} <input name="${text(name)}" data-in="${place}"${required ? ' required' : ''}></label>`,
    )
  const body =
    example === undefined
      ? ''
      : `<label>Body <textarea name="body" rows="8" spellcheck="false">${text(JSON.stringify(example, null, 2))}</textarea></label>`
  return (
    `<form class="try" data-method="${text(method.toUpperCase())}" data-path="${text(path)}">${fields.join('')}${body}` +
    `<button>Send</button> <output></output></form>`
  )
}

function renderParameters(parameters: readonly Parameter[]): string {
  if (parameters.length === 0) return ''
  const rows = parameters.map(
    ({ name, in: place, required, description = '', schema }) =>
      `<tr><td><code>${text(name)}</code>${required ? '' : ' <small>optional</small>'}</td><td class="in">${place}</td>` +
      `<td><code>${text(typeOf(schema))}</code></td><td>${text(description)}</td></tr>`,
  )
  return `<h3>Parameters</h3><table>${rows.join('')}</table>`
}

function renderResponse([status, { description, content }]: [string, DocumentedResponse]): string {
  const kind = status.startsWith('2') || status === '101' ? 'good' : 'bad'
  const isError = JSON.stringify(content ?? {}).includes('/schemas/Error"')
  const shown = content === undefined || isError ? '' : renderContent(content)
  const said = isError ? `<code>${text(description)}</code>` : text(description)
  return `<tr><td><b class="${kind}">${text(status)}</b></td><td>${said}${shown}</td></tr>`
}

function renderContent(content: Record<string, { schema: Json; example?: unknown }>): string {
  return Object.entries(content)
    .map(([type, { schema, example }]) => {
      const { $ref } = schema
      if (typeof $ref === 'string') {
        const name = $ref.split('/').at(-1) ?? ''
        return `<p><code>${text(type)}</code>: <a href="#schema-${text(name)}">${text(name)}</a></p>`
      }
      if (typeof example === 'string')
        return `<p><code>${text(type)}</code></p><pre tabindex="0">${text(example)}</pre>`
      const isPlain = type !== 'application/json'
      return `<p><code>${text(type)}</code></p>${isPlain ? '' : `<pre tabindex="0">${text(JSON.stringify(schema, null, 2))}</pre>`}`
    })
    .join('')
}

interface ShownEvent {
  name: string
  example: unknown
  /** The schema of one of the runner's own events; undefined for AG-UI's. */
  schema?: Json
}

/** Returns every event that a stream may contain, AG-UI's first. */
function eventsOf({ components: { schemas } }: OpenApiDocument): ShownEvent[] {
  const { examples } = schemas['Event'] ?? {}
  const agui = listOf(examples).map((example) => ({ name: String(example['type']), example }))
  const own = ownEventsOf(schemas).map(({ examples: shown, ...schema }) => {
    const [example] = listOf(shown)
    return { name: String(example?.['name']), example, schema }
  })
  return [...agui, ...own]
}

function ownEventsOf(schemas: Record<string, Json>): Json[] {
  const names = listOf(schemas['OwnEvent']?.['oneOf']).map(({ $ref }) => String($ref).split('/').at(-1) ?? '')
  return names.flatMap((name) => (schemas[name] === undefined ? [] : [schemas[name]]))
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? value : []
}

function renderEvent({ name, example, schema }: ShownEvent): string {
  const json = (value: unknown): string => `<pre tabindex="0">${text(JSON.stringify(value, null, 2))}</pre>`
  const shape = schema === undefined ? '' : `<h3>Schema</h3>${json(schema)}`
  return (
    `<details id="event-${text(name)}"><summary><code>${text(name)}</code></summary>` +
    `<div><h3>Example</h3>${json(example)}${shape}</div></details>`
  )
}

function renderSchema([name, schema]: [string, Json]): string {
  return (
    `<details id="schema-${text(name)}"><summary><code>${text(name)}</code></summary>` +
    `<div><pre tabindex="0">${text(JSON.stringify(schema, null, 2))}</pre></div></details>`
  )
}

function curlOf({ method, path, operation }: Route): string {
  const words = ['curl']
  const { requestBody, responses } = operation
  if (Object.keys(responses['200']?.content ?? {}).includes('text/event-stream')) words.push('-N')
  if (method !== 'get') words.push('-X', method.toUpperCase())
  words.push(`"$AGUI_URL${path}"`, `-H "authorization: Bearer $AGUI_TOKEN"`)
  if (requestBody?.content['application/json'] !== undefined)
    words.push(`-H 'content-type: application/json'`, `-d '${exampleOf(requestBody)}'`)
  else if (requestBody !== undefined) words.push('--data-binary @FILE')
  return words.join(' ')
}

function exampleOf(requestBody: Operation['requestBody']): string {
  const example = requestBody?.content['application/json']?.example
  return example === undefined ? '{…}' : JSON.stringify(example)
}

/** Returns a schema in a few words. */
function typeOf(schema: Json): string {
  const { type, const: only, enum: values, anyOf, pattern, default: fallback } = schema
  const words = Array.isArray(values)
    ? values.map((value) => JSON.stringify(value)).join(' | ')
    : only !== undefined
      ? JSON.stringify(only)
      : Array.isArray(anyOf)
        ? anyOf.map((option: Json) => typeOf(option)).join(' | ')
        : String(type ?? 'any')
  const shape = typeof pattern === 'string' ? ` ${pattern}` : ''
  return `${words}${shape}${fallback === undefined ? '' : ` = ${JSON.stringify(fallback)}`}`
}

const text = escapeHtml

const STYLE = `
:root{color-scheme:light dark;--line:light-dark(#d9dde3,#343a44);--soft:light-dark(#f5f6f8,#20242b);--dim:light-dark(#59616d,#9aa4b2);--link:light-dark(#0b57d0,#8ab4f8)}
*{box-sizing:border-box}
body{margin:0;font:.9375rem/1.5 system-ui,sans-serif;background:light-dark(#fff,#16191e);color:light-dark(#1b1f24,#e3e6ea)}
header,main{max-width:64rem;margin:auto;padding:0 1.25rem}
h1{font-size:1.7rem;margin:1.6rem 0 .3rem}h2{font-size:1.2rem;margin:2rem 0 .6rem}h3{font-size:.8rem;margin:1.1rem 0 .3rem;color:var(--dim)}
small{color:var(--dim);font-weight:400}header p{max-width:46rem;color:var(--dim)}
a{color:var(--link)}nav{display:flex;flex-wrap:wrap;gap:.5rem}
nav a{border:1px solid var(--line);border-radius:6px;padding:.2rem .7rem;text-decoration:none}nav small{margin-left:.4rem}
details{border:1px solid var(--line);border-radius:6px;margin:.4rem 0;overflow:hidden}
details[open]>summary{border-bottom:1px solid var(--line)}details>div{padding:.4rem 1rem 1rem}
summary{display:flex;flex-wrap:wrap;gap:.3rem .9rem;align-items:baseline;padding:.5rem .9rem;cursor:pointer;background:var(--soft)}
summary code{min-width:17rem}
summary span{color:var(--dim);flex:1 1 20rem}summary b{min-width:4.2rem;font-size:.78rem}
.get,.good{color:light-dark(#0a6b3d,#6fd3a0)}.post{color:light-dark(#0b57d0,#8ab4f8)}.put{color:light-dark(#8a5300,#f0b35e)}.delete,.bad{color:light-dark(#b3261e,#f2938c)}
code,pre{font:.8125rem/1.45 ui-monospace,monospace}pre{background:var(--soft);border-radius:6px;padding:.7rem .9rem;margin:.4rem 0;overflow:auto;max-height:26rem}
table{border-collapse:collapse;width:100%}td{border-top:1px solid var(--line);padding:.35rem .8rem .35rem 0;vertical-align:top;overflow-wrap:anywhere}td:first-child{width:9rem}
#search{width:100%;margin:.9rem 0 0;padding:.45rem .8rem;font:inherit;color:inherit;background:var(--soft);border:1px solid var(--line);border-radius:6px}[hidden]{display:none}
.try{display:grid;gap:.4rem;justify-items:start}.try label{display:block;width:100%;font-size:.85rem;color:var(--dim)}
.try input,.try textarea{display:block;width:100%;font:.8125rem/1.45 ui-monospace,monospace;color:inherit;background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:.35rem .6rem}
.try button{font:inherit;padding:.25rem 1rem;border-radius:6px;border:1px solid var(--line);background:var(--soft);color:inherit;cursor:pointer}
.try output{display:block;width:100%;white-space:pre-wrap;overflow-wrap:anywhere;font:.8125rem/1.45 ui-monospace,monospace;max-height:24rem;overflow:auto}
td p{margin:.2rem 0}.in{white-space:nowrap}
`

/** The script of the sign-in page. It fetches the same page with the token in a header and shows the result. */
const SIGN_IN_AND_SHOW = `${SIGN_IN_SCRIPT}${TRY_SCRIPT}
async function show() {
  const answer = await fetchSignedIn('docs')
  // This page has the same style already.
  const html = (await answer.text()).replace(/<style>[^<]*<\\/style>/, '')
  const page = new DOMParser().parseFromString(html, 'text/html')
  if (!answer.ok || page.querySelector('main') === null) return document.body.append(page.body.textContent)
  document.title = page.title
  document.body.replaceChildren(...page.body.children)
  document.querySelector('a[href="openapi.json"]').onclick = async (event) => {
    event.preventDefault()
    const json = await fetchSignedIn('openapi.json')
    location.assign(URL.createObjectURL(await json.blob()))
  }
  document.getElementById(location.hash.slice(1))?.scrollIntoView()
}
show()
`

/** The page for a browser that has sent no token. It contains nothing of the document. */
export const DOCS_SIGN_IN: Page = {
  title: 'agui-runner API',
  style: `${STYLE}${SIGN_IN_STYLE}`,
  body: SIGN_IN_FORM,
  script: SIGN_IN_AND_SHOW,
}
