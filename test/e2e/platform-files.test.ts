import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { post } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const MIB = 1024 * 1024
const FILE_BYTES_MAX = 8 * MIB

let bench: Bench
let runner: RunnerProcess

beforeAll(async () => {
  bench = await openBench()
  runner = await bench.start({ FILE_BYTES_MAX: String(FILE_BYTES_MAX) })
})
afterAll(() => bench.close())

beforeEach(() => {
  mkdirSync(at('notes'), { recursive: true })
  writeFileSync(at('notes/a.txt'), 'first')
})

const at = (path: string): string => join(bench.workspace, path)
const url = (path: string): string => `${runner.url}${path}`

interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the fields of whatever answer it expects
  body: any
}

const read = async (response: Response): Promise<Answer> => ({
  status: response.status,
  body: await response.json(),
})
const get = async (path: string): Promise<Answer> => await read(await fetch(url(path)))
const remove = async (path: string, body?: unknown): Promise<Answer> =>
  await read(
    await fetch(url(path), {
      method: 'DELETE',
      ...(body === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    }),
  )

/** As it is given, which `fetch` would mend. */
function raw(method: string, path: string): Promise<{ status: number; code: unknown }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(runner.url)
    const sent = httpRequest({ hostname, port, method, path }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => {
        const isJson = response.headers['content-type']?.startsWith('application/json')
        resolve({
          status: response.statusCode ?? 0,
          code: isJson === true ? JSON.parse(text).error?.code : undefined,
        })
      })
    })
    sent.on('error', reject).end(method === 'PUT' ? 'attack' : undefined)
  })
}

describe('content', () => {
  test('lists a folder and a file as the Python runner does', async () => {
    const entry = {
      name: 'a.txt',
      path: '/notes/a.txt',
      isDir: false,
      size: 5,
      modifiedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    }
    expect(await get('/content/list?path=notes')).toEqual({ status: 200, body: { items: [entry] } })
    expect(await get('/content/list?path=/notes/a.txt')).toEqual({ status: 200, body: { items: [entry] } })
    expect((await get('/content/list')).body.items.map(({ path }: { path: string }) => path)).toContain(
      '/notes',
    )
    expect(await get('/content/list?path=none')).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found' } },
    })
  })

  test('gives a file as bytes that no browser renders', async () => {
    const response = await fetch(url('/content/file?path=/notes/a.txt'))
    expect(await response.text()).toBe('first')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '5',
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
    })
    expect(await get('/content/file?path=none')).toMatchObject({ status: 404 })
    expect(await get('/content/file?path=notes')).toMatchObject({ status: 400 })
  })

  test('writes text and base64, and refuses what is neither', async () => {
    const written = await post(url('/content/write'), { path: 'new/b.txt', content: 'grüße' })
    expect(await read(written)).toEqual({ status: 200, body: { message: 'ok' } })
    expect(readFileSync(at('new/b.txt'), 'utf8')).toBe('grüße')
    const binary = {
      path: '/new/c',
      content: Buffer.from([0, 255, 1]).toString('base64'),
      encoding: 'base64',
    }
    expect((await post(url('/content/write'), binary)).status).toBe(200)
    expect([...readFileSync(at('new/c'))]).toEqual([0, 255, 1])
    for (const body of [
      { ...binary, content: '*not base64*' },
      { ...binary, encoding: 'rot13' },
      { content: 'x' },
      { path: '', content: 'x' },
      { path: 'x', content: 1 },
      { path: 'notes', content: 'x' },
      'no json',
    ]) {
      expect(await read(await post(url('/content/write'), body)), JSON.stringify(body)).toMatchObject({
        status: 400,
        body: { error: { code: 'invalid_input' } },
      })
    }
  })

  test('deletes a file, once', async () => {
    expect(await remove('/content/delete', { path: 'notes/a.txt' })).toEqual({
      status: 200,
      body: { message: 'file deleted successfully' },
    })
    expect(existsSync(at('notes/a.txt'))).toBe(false)
    expect(await remove('/content/delete', { path: 'notes/a.txt' })).toMatchObject({ status: 404 })
    expect(await remove('/content/delete', { path: 'notes' })).toMatchObject({ status: 400 })
    expect(await remove('/content/delete')).toMatchObject({ status: 400 })
  })

  test('tells what the active workflow offers', async () => {
    expect(await get('/content/workflow-metadata')).toMatchObject({ status: 400 })
    expect(await get('/content/workflow-metadata?session=s')).toEqual({
      status: 200,
      body: { commands: [], agents: [], skills: [], config: { artifactsDir: 'artifacts' } },
    })
    const flow = (path: string, content: string): void => {
      mkdirSync(at(join('workflows/flow', path, '..')), { recursive: true })
      writeFileSync(at(join('workflows/flow', path)), content)
    }
    flow('.claude/commands/zeta.md', '---\ndisplayName: "Go"\ndescription: does: it\norder: 1\n---\nbody')
    flow('.claude/commands/alpha.md', 'no head')
    flow('.claude/agents/helper.md', '---\nname: Helper\ntools: Read\n---\n')
    flow('.claude/skills/dig/SKILL.md', '---\nname: Dig\nallowed-tools: Bash\n---\n')
    flow('.ambient/ambient.json', '{"name":"Flow","systemPrompt":"be good","other":1}')
    symlinkSync('/etc/passwd', at('workflows/flow/.claude/commands/passwd.md'))
    const { body } = await get('/content/workflow-metadata?session=s')
    expect(body).toMatchObject({
      agents: [{ id: 'helper', name: 'Helper', description: '', tools: 'Read' }],
      skills: [{ id: 'dig', name: 'Dig', slashCommand: '/dig', allowedTools: 'Bash' }],
      config: { name: 'Flow', description: '', systemPrompt: 'be good', artifactsDir: '' },
    })
    expect(body.commands[0]).toEqual({
      id: 'zeta',
      name: 'Go',
      description: 'does: it',
      slashCommand: '/zeta',
      icon: '',
      order: 1,
      // Nobody has made it active, and by itself nothing of it is loaded.
      needs: ['POST /workflow', 'CLAUDE_SETTING_SOURCES=project', 'CLAUDE_SLASH_COMMANDS=true'],
    })
    expect(body.agents[0].needs).toEqual(['POST /workflow', 'CLAUDE_SETTING_SOURCES=project'])
    expect(JSON.stringify(body)).not.toContain('root:')
  })
})

describe.each(['/workspace', '/files'])('%s', (base) => {
  test('lists the workspace and its folders', async () => {
    const listed = await get(base)
    expect(listed.body.files.map(({ name }: { name: string }) => name)).toContain('notes')
    expect((await get(`${base}/notes`)).body.files).toMatchObject([{ path: '/notes/a.txt', size: 5 }])
    expect((await get(`${base}?path=notes`)).body.files).toMatchObject([{ path: '/notes/a.txt' }])
  })

  test('lists a name that is not UTF-8, and gives and deletes what it lists', async () => {
    mkdirSync(at('odd'), { recursive: true })
    writeFileSync(Buffer.concat([Buffer.from(at('odd/caf')), Buffer.from([0xe9])]), 'hello')
    const { files } = (await get(`${base}/odd`)).body
    expect(files).toMatchObject([{ name: 'caf\\xE9', path: '/odd/caf\\xE9', size: 5 }])
    const path = files[0].path.split('/').map(encodeURIComponent).join('/')
    expect(await (await fetch(url(`${base}${path}`))).text()).toBe('hello')
    const query = encodeURIComponent(files[0].path)
    expect(await (await fetch(url(`/content/file?path=${query}`))).text()).toBe('hello')
    expect(await remove(`${base}${path}`)).toMatchObject({ status: 200 })
    expect(readdirSync(at('odd'))).toEqual([])
  })

  test('takes, gives and deletes a file of any type', async () => {
    const path = `${base}/up%20load/%C3%A4.json`
    for (const contentType of ['application/json', 'text/plain', 'application/x-odd; a=b', undefined]) {
      const content = `{"not json" ${contentType}`
      const put = await fetch(url(path), {
        method: 'PUT',
        headers: contentType === undefined ? {} : { 'content-type': contentType },
        body: new TextEncoder().encode(content),
      })
      expect(await read(put)).toEqual({
        status: 200,
        body: { message: 'ok', path: '/up load/ä.json', size: Buffer.byteLength(content) },
      })
      expect(await (await fetch(url(path))).text()).toBe(content)
    }
    expect(await remove(path)).toMatchObject({ status: 200 })
    expect(await get(path)).toMatchObject({ status: 404 })
  })

  test('takes an empty file', async () => {
    expect((await fetch(url(`${base}/empty`), { method: 'PUT' })).status).toBe(200)
    expect(readFileSync(at('empty'), 'utf8')).toBe('')
  })
})

/** A body that is made while it is sent. */
function bodyOf(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close()
      controller.enqueue(new Uint8Array(Math.min(left, 64 * 1024)))
      left -= 64 * 1024
    },
  })
}

const putStream = (path: string, bytes: number): Promise<Response> =>
  fetch(url(path), { method: 'PUT', body: bodyOf(bytes), duplex: 'half' } as RequestInit)

test('a large file goes up and comes down as it is, at exactly the limit', async () => {
  const put = await putStream('/workspace/large', FILE_BYTES_MAX)
  expect(await read(put)).toMatchObject({ status: 200, body: { size: FILE_BYTES_MAX } })
  const down = await fetch(url('/workspace/large'))
  expect((await down.arrayBuffer()).byteLength).toBe(FILE_BYTES_MAX)
})

test('a file above the limit is refused, whether its length was told or not, and nothing of it stays', async () => {
  const told = await fetch(url('/files/told'), {
    method: 'PUT',
    body: new Uint8Array(FILE_BYTES_MAX + 1),
  }).catch((error: Error) => error)
  // The connection may be gone before all of it was sent; when the answer came it says why.
  if (told instanceof Response) expect(told.status).toBe(413)
  const untold = await putStream('/files/untold', FILE_BYTES_MAX + 64 * 1024).catch((error: Error) => error)
  if (untold instanceof Response) expect(untold.status).toBe(413)
  expect(readdirSync(bench.workspace).filter((name) => /told|agui/.test(name))).toEqual([])
})

test('an upload that is cut off leaves nothing and no error of ours', async () => {
  const { hostname, port } = new URL(runner.url)
  await new Promise<void>((resolve) => {
    const sent = httpRequest({ hostname, port, method: 'PUT', path: '/files/cut' })
    sent.setHeader('content-length', 1000)
    sent.on('error', () => {})
    sent.on('close', () => resolve())
    sent.write('some', () => sent.destroy())
  })
  const line = await runner.line((entry) => String(entry['reason'] ?? '').includes('cut off'))
  expect(line['code']).toBe('invalid_input')
  expect(readdirSync(bench.workspace).filter((name) => /cut|agui/.test(name))).toEqual([])
})

describe('a path out of the workspace is refused', () => {
  test.each([
    ['GET', '/workspace/../outside/secret'],
    ['GET', '/workspace/%2e%2e/outside/secret'],
    ['GET', '/workspace/..%2foutside%2fsecret'],
    ['PUT', '/workspace/%2e%2e%2foutside%2fsecret'],
    ['PUT', '/files/notes/..%2f..%2foutside%2fsecret'],
    ['DELETE', '/files/..%2foutside%2fsecret'],
    ['GET', '/content/file?path=../outside/secret'],
    ['GET', '/content/list?path=..'],
    ['GET', '/content/git-status?path=../outside'],
    ['GET', '/git/status?path=%2e%2e'],
    ['GET', '/git/branches?path=../outside'],
    ['GET', '/workspace/link/secret'],
    ['PUT', '/workspace/link/new'],
    ['PUT', '/workspace/dangling'],
    ['DELETE', '/workspace/link/secret'],
  ])('%s %s', async (method, path) => {
    const outside = join(bench.directory, 'outside')
    mkdirSync(outside, { recursive: true })
    writeFileSync(join(outside, 'secret'), 'secret')
    for (const [name, target] of Object.entries({ link: outside, dangling: join(outside, 'made') })) {
      if (!readdirSync(bench.workspace).includes(name)) symlinkSync(target, at(name))
    }
    expect(await raw(method, path)).toEqual({ status: 400, code: 'path_outside_workspace' })
    expect(readdirSync(outside)).toEqual(['secret'])
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret')
  })

  test('an absolute path means the workspace, as the platform has it', async () => {
    expect(await get('/content/file?path=/etc/passwd')).toMatchObject({ status: 404 })
    expect(await raw('GET', '/workspace//etc/passwd')).toEqual({ status: 404, code: 'not_found' })
    const inside = encodeURIComponent(at('notes/a.txt'))
    expect(await (await fetch(url(`/content/file?path=${inside}`))).text()).toBe('first')
  })

  test('a NUL is no path', async () => {
    expect(await raw('GET', '/workspace/a%00b')).toEqual({ status: 400, code: 'invalid_input' })
  })
})

test('the routes are behind the token', async () => {
  const guarded = await bench.start({
    AGUI_TOKEN: 'secret',
    RUNNER_STATE_DIR: join(bench.directory, 'state-2'),
  })
  for (const path of ['/content/list', '/workspace', '/files/x', '/repos/status', '/tasks', '/mcp/status']) {
    expect((await fetch(`${guarded.url}${path}`)).status, path).toBe(401)
  }
})
