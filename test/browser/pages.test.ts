// The pages in a real browser, on the real server with the real Claude Code; one browser for all. What is of threads and
// connections alone needs no Claude Code: there a scripted agent answers. How the states of the console look is in
// states.test.ts.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { bodyOf, run, runInput } from '../support/client.ts'
import { type Bench, type OpenRunner, openBench, type RunnerProcess } from '../support/runner.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { axeFindings, contrastFindings } from './axe.ts'
import { missingChromium, openBrowser, openPage, type Watched } from './chromium.ts'
import { type Line, openLine } from './line.ts'

const reason = missingChromium()

const HOSTILE = `<img src=x onerror="document.title='pwned'"><script>document.title='pwned'</script>`
const LONG_LINES = 60
const HUGE_LINES = 4000

const bash = (command: string) => [{ tool: 'Bash', input: { command, description: 'run it' } }]

const SCRIPTED: Script = {
  rules: [
    {
      when: { prompt: 'gated (\\S+)' },
      reply: [{ text: 'before' }, { gate: '{{1}}' }, { text: ' and after' }],
    },
    { reply: 'You said: {{prompt}}' },
  ],
}

const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: 'gated (\\S+)' },
      reply: [
        { thinking: 'Well, well.' },
        { text: 'before', open: true },
        { gate: '{{1}}' },
        { text: ' and after' },
      ],
    },
    {
      when: { prompt: 'slowly (\\S+)', round: 0 },
      reply: [
        { text: 'Well…', open: true },
        { gate: '{{1}}' },
        ...bash('touch slowly'),
        ...bash('touch next'),
      ],
    },
    { when: { prompt: 'touch', round: 0 }, reply: bash('touch made-by-bash') },
    { when: { prompt: 'hostile', round: 0 }, reply: bash('cat hostile.html') },
    { when: { prompt: 'huge', round: 0 }, reply: bash(`seq ${HUGE_LINES}`) },
    { when: { prompt: 'huge' }, reply: 'That was much.' },
    { when: { prompt: 'long', round: 0 }, reply: bash(`seq ${LONG_LINES}`) },
    {
      when: { prompt: 'choose', round: 0 },
      reply: [
        {
          tool: 'AskUserQuestion',
          input: {
            questions: [
              {
                question: 'Which colour?',
                header: 'Colour',
                multiSelect: false,
                options: [
                  { label: 'Green', description: 'as grass' },
                  { label: 'Blue', description: 'as the sea' },
                ],
              },
            ],
          },
        },
      ],
    },
    {
      when: { prompt: 'delegate', round: 0, subagent: false },
      reply: [
        { tool: 'Agent', input: { description: 'look', prompt: 'look', subagent_type: 'general-purpose' } },
      ],
    },
    { when: { subagent: true }, reply: 'I am the subagent.' },
    {
      when: { prompt: 'break' },
      reply: [{ error: { status: 500, headers: { 'x-should-retry': 'false' } } }],
    },
    { when: { result: { matches: '.*' } }, reply: 'The tool said: {{result}}' },
    { reply: 'You said: {{prompt}}' },
  ],
}

/** A browser that would notify, and can only do so in a service worker; nobody looks at its page. */
const ANDROID = `
  window.Notification = class { static permission = 'granted'; constructor() { throw new TypeError('Illegal constructor') } }
  document.hasFocus = () => false`

/** What the page posts from now on. */
function watchPosts(page: Page): string[] {
  const posts: string[] = []
  page.on('request', (request) => {
    if (request.method() === 'POST') posts.push(request.postData() ?? '')
  })
  return posts
}

/** Drops a file on the transcript, beside the composer. */
async function dropFile(page: Page, name: string): Promise<void> {
  await page.evaluate(`{
    const dataTransfer = new DataTransfer()
    dataTransfer.items.add(new File(['words'], ${JSON.stringify(name)}, { type: 'text/plain' }))
    const options = { dataTransfer, bubbles: true, cancelable: true }
    document.getElementById('transcript').dispatchEvent(new DragEvent('drop', options))
  }`)
}

describe.skipIf(reason !== undefined)(`pages in a browser (${reason ?? 'Chromium is here'})`, () => {
  let browser: Browser
  let bench: Bench
  let runner: RunnerProcess
  let asking: OpenRunner
  let scripted: ScriptedRunner
  let watched: Watched
  let line: Line | undefined
  /** Words of problems that the test itself makes. */
  let expected: RegExp | undefined

  beforeAll(async () => {
    bench = await openBench({ script: SCRIPT })
    writeFileSync(join(bench.workspace, 'hostile.html'), HOSTILE)
    const state = { PERMISSION_MODE: 'ask', RUNNER_STATE_DIR: join(bench.directory, 'asking') }
    ;[browser, runner, asking, scripted] = await Promise.all([
      openBrowser(),
      bench.start(),
      bench.open(state),
      openScriptedRunner({ script: SCRIPTED }),
    ])
  })
  afterAll(async () => {
    await browser?.close()
    await scripted?.close()
    await bench?.close()
  })

  const open = async (
    url: string,
    options?: Parameters<Browser['newPage']>[0],
    before?: string,
  ): Promise<Page> => {
    watched = await openPage(browser, options)
    if (before !== undefined) await watched.page.addInitScript(before)
    await watched.page.goto(url)
    return watched.page
  }

  afterEach(async () => {
    await watched.page.context().close()
    await line?.close()
    line = undefined
    const unexpected = watched.problems.filter((problem) => expected?.test(problem) !== true)
    expected = undefined
    expect(unexpected).toEqual([])
    expect(watched.requests.filter((url) => new URL(url).hostname !== '127.0.0.1')).toEqual([])
  })

  const say = async (page: Page, prompt: string): Promise<void> => {
    await page.getByRole('textbox', { name: 'Prompt' }).fill(prompt)
    await page.keyboard.press('Enter')
  }
  const articles = (page: Page, text: string): Locator => page.getByRole('article').filter({ hasText: text })
  const lastRun = (page: Page): Locator => page.getByRole('group', { name: /^Run / }).last()
  const seen = (locator: Locator): Promise<void> => locator.waitFor({ timeout: 25_000 })

  test('the first prompt is typed, its answer is seen while it streams, and is there once when it ends', async () => {
    const page = await open(runner.url)
    await seen(page.getByText('ready', { exact: true }))
    await seen(page.getByText('No threads yet.'))
    await page.getByRole('button', { name: /^Think, write a file/ }).click()
    await expect.poll(() => page.getByRole('textbox', { name: 'Prompt' }).inputValue()).toContain('hello.txt')
    await say(page, 'gated first')
    await seen(articles(page, 'before'))
    await seen(page.getByRole('button', { name: 'Stop' }))
    await seen(lastRun(page).getByText('running…', { exact: true }))
    expect(await articles(page, 'after').count()).toBe(0)
    bench.gateway.open('first')
    await seen(articles(page, 'before and after'))
    await seen(lastRun(page).getByText('finished'))
    await seen(lastRun(page).getByText(/\d+ in, \d+ out/))
    expect(await articles(page, 'gated first').count()).toBe(1)
    expect(await articles(page, 'before').count()).toBe(1)
    const reasoning = page.getByText('Well, well.').last()
    expect(await reasoning.isVisible()).toBe(false)
    await page.getByText('Reasoning').click()
    await seen(reasoning)
    await seen(page.getByRole('navigation', { name: 'Threads' }).getByRole('link', { name: /idle/ }))
  })

  test('a page that is loaded again in the middle of a run shows everything once', async () => {
    const page = await open(`${scripted.url}/#/reload`)
    await say(page, 'gated reload')
    await seen(articles(page, 'before'))
    await page.reload()
    await seen(articles(page, 'before'))
    scripted.agent.openGate('reload')
    await seen(articles(page, 'before and after'))
    await seen(lastRun(page).getByText('finished'))
    expect(await page.getByRole('article').allInnerTexts()).toEqual([
      'You\n\ngated reload',
      'Claude Code\n\nbefore and after',
    ])
  })

  test('a lost connection is said, made again by itself, and nothing is lost or doubled', async () => {
    line = await openLine(scripted.url)
    const page = await open(`${line.url}/#/lost`)
    expected = /ERR_/
    await say(page, 'gated lost')
    await seen(articles(page, 'before'))
    line.cut()
    await seen(page.getByText('Connection lost.'))
    scripted.agent.openGate('lost')
    await run(scripted.url, { ...runInput('lost', 'while away'), forwardedProps: { delivery: 'queue' } })
    line.restore()
    await seen(articles(page, 'You said: while away'))
    expect(await page.getByRole('article').allInnerTexts()).toEqual([
      'You\n\ngated lost',
      'Claude Code\n\nbefore and after',
      'You\n\nwhile away',
      'Claude Code\n\nYou said: while away',
    ])
    await page.getByText('Connection lost.').waitFor({ state: 'hidden' })
  })

  test('a tab that nobody looks at gives its connection back, and shows what it missed when it is looked at', async () => {
    await run(scripted.url, runInput('hidden', 'one'))
    const page = await open(`${scripted.url}/#/hidden`)
    await seen(articles(page, 'You said: one'))
    const setHidden = (isHidden: boolean): Promise<unknown> =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { configurable: true, value: ${isHidden} });` +
          "document.dispatchEvent(new Event('visibilitychange'))",
      )
    const ended = page.waitForEvent('requestfailed', (request) => request.url().includes('/events?after='))
    await setHidden(true)
    await ended
    const streams = watched.requests.filter((url) => url.includes('/events?after=')).length
    await run(scripted.url, runInput('hidden', 'two'))
    expect(watched.requests.filter((url) => url.includes('/events?after='))).toHaveLength(streams)
    await setHidden(false)
    await seen(articles(page, 'You said: two'))
    expect(await page.getByRole('article').count()).toBe(4)
    await page.getByText('Connection lost.').waitFor({ state: 'hidden' })
  })

  test('a server that was started again is gone on with', async () => {
    const env = { RUNNER_STATE_DIR: join(bench.directory, 'again') }
    const first = await bench.start(env)
    const page = await open(`${first.url}/#/again`)
    expected = /ERR_/
    await say(page, 'one')
    await seen(articles(page, 'You said: one'))
    await first.stop('SIGKILL')
    await seen(page.getByText('Connection lost.'))
    await bench.start({ ...env, AGUI_PORT: new URL(first.url).port })
    await page.getByText('Connection lost.').waitFor({ state: 'hidden' })
    await say(page, 'two')
    await seen(articles(page, 'You said: two'))
    expect(await page.getByRole('article').count()).toBe(4)
  })

  test('hostile output is text: nothing of it runs', async () => {
    await run(runner.url, runInput('hostile <b id=own>', `hostile ${HOSTILE}`))
    const page = await open(`${runner.url}/#/${encodeURIComponent('hostile <b id=own>')}`)
    await seen(lastRun(page).getByText('finished'))
    await seen(page.getByLabel('Result', { exact: true }).getByText(HOSTILE))
    await seen(articles(page, `The tool said: ${HOSTILE}`))
    expect(await page.title()).toBe(`hostile ${HOSTILE} · agui-runner`)
    expect(await page.locator('#transcript :is(img, script), #own').count()).toBe(0)
    // Also where somebody would put it in by mistake: the browser itself refuses.
    const assign = page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p>x</p>')")
    await expect(assign).rejects.toThrow('TrustedHTML')
    expected = /TrustedHTML/
  })

  test('an approval is answered in the page: refused with a reason, then edited and allowed', async () => {
    const page = await open(`${asking.url}/#/approve`)
    await say(page, 'touch')
    const card = page.getByRole('form', { name: 'May Bash run?' })
    await seen(card.getByText('touch made-by-bash').first())
    await say(page, 'first things first')
    await seen(page.getByText('Answer the question above first; what you have written stays.'))
    await card.getByRole('textbox', { name: 'Words to the model' }).fill('not in my house')
    await card.getByRole('button', { name: /^Refuse/ }).click()
    await seen(articles(page, 'not in my house'))
    expect(existsSync(join(bench.workspace, 'made-by-bash'))).toBe(false)
    await say(page, 'touch again')
    await card.getByText('Edit the arguments').click()
    const editor = card.getByRole('textbox', { name: 'Arguments as JSON' })
    for (const wrong of ['{', '{}']) {
      await editor.fill(wrong)
      await card.getByRole('button', { name: /^Allow once/ }).click()
      await seen(card.getByText('The arguments must be a JSON object, and not an empty one.'))
    }
    await editor.fill('{"command":"touch made-by-bash && echo made"}')
    // By the keyboard alone.
    await seen(card.locator('kbd').first())
    await card.getByRole('button', { name: /^Allow once/ }).focus()
    await page.keyboard.press('y')
    await seen(articles(page, 'The tool said: made'))
    await seen(page.getByText(/^Allowed by you at \d\d:\d\d/))
    await seen(page.getByText('Run with arguments that a person edited:'))
    expect(existsSync(join(bench.workspace, 'made-by-bash'))).toBe(true)
    // Another browser finds it in the record.
    const other = await browser.newPage()
    await other.goto(`${asking.url}/#/approve`)
    await seen(other.getByText(/^Allowed at \d\d:\d\d/))
    await other.close()
    // The list of what is open is asked for when the run begins, and may come after its events.
    await card.waitFor({ state: 'detached' })
  })

  test('who writes is not asked by their own keys, keeps what is written, and answers once with a key that is pressed twice or held down', async () => {
    const page = await open(`${asking.url}/#/writing`, {}, ANDROID)
    const prompt = page.getByRole('textbox', { name: 'Prompt' })
    const answers = watchPosts(page)
    await say(page, 'slowly open')
    await seen(articles(page, 'Well…'))
    await prompt.fill('do not do ')
    bench.gateway.open('open')
    const card = page.getByRole('form', { name: 'May Bash run?' })
    await seen(card)
    await page.keyboard.type('any of that')
    expect(await prompt.inputValue()).toBe('do not do any of that')
    // The second call comes behind the first, and is not over.
    await seen(page.getByText('waits its turn'))
    // A draft is its thread's own, and of one that has none yet.
    await page.getByRole('button', { name: 'New thread' }).click()
    await expect.poll(() => prompt.inputValue()).toBe('')
    await dropFile(page, 'notes.txt')
    await seen(page.getByRole('list', { name: 'Attached files' }).getByText('notes.txt'))
    await prompt.fill('later')
    await page.evaluate("location.hash = '#/writing'")
    await seen(card)
    await expect.poll(() => prompt.inputValue()).toBe('do not do any of that')
    await seen(card.locator('kbd').first())
    await card.focus()
    await page.keyboard.press('y')
    await page.keyboard.press('y')
    await page.keyboard.down('y')
    await seen(card.getByText('touch next'))
    await seen(card.locator('kbd').first())
    // It is still held down.
    await page.keyboard.down('y')
    await page.keyboard.up('y')
    await seen(page.getByText(/^Allowed by you at/))
    expect(answers).toHaveLength(2)
    await page.getByRole('button', { name: 'New thread' }).click()
    await expect.poll(() => prompt.inputValue()).toBe('later')
    await seen(page.getByText('notes.txt'))
  })

  test('a question is answered with a choice, and another one in own words', async () => {
    const page = await open(`${asking.url}/#/choose`)
    await say(page, 'choose')
    const card = page.getByRole('form', { name: 'Claude Code asks' })
    await seen(card.getByRole('group', { name: 'Which colour?' }))
    await card.getByRole('button', { name: 'Answer' }).click()
    await seen(card.getByText('Choose or write an answer to: Which colour?'))
    await card.getByRole('radio', { name: 'Blue' }).check()
    await card.getByRole('button', { name: 'Answer' }).click()
    await seen(articles(page, '"Which colour?"="Blue"'))
    await say(page, 'choose again')
    await card.getByRole('textbox', { name: 'own words' }).fill('infrared')
    await card.getByRole('button', { name: 'Answer' }).click()
    await seen(articles(page, '"Which colour?"="infrared"'))
  })

  test('a running thread is steered, gets a prompt queued, and is interrupted', async () => {
    const page = await open(`${runner.url}/#/busy`)
    await say(page, 'gated never')
    await seen(articles(page, 'before'))
    await page.getByRole('radio', { name: /^Queue/ }).check()
    const queue = page.getByRole('list', { name: 'Queue' })
    for (const words of ['the dropped one', 'the later one', 'the queued one']) {
      await say(page, words)
      await seen(queue.getByText(words))
    }
    await seen(page.getByRole('navigation').getByText('3 queued'))
    // By the keyboard alone: what is used up passes the focus on.
    const press = async (name: string): Promise<void> => {
      await queue.getByRole('button', { name }).press('Enter')
    }
    const focused = (): Promise<string | null> => page.locator(':focus').getAttribute('aria-label')
    await press('Run earlier: the queued one')
    const order = (): Promise<string[]> => queue.locator('.words').allTextContents()
    await expect.poll(order).toEqual(['the dropped one', 'the queued one', 'the later one'])
    expect(await focused()).toBe('Run earlier: the queued one')
    await press('Remove from the queue: the dropped one')
    await expect.poll(focused).toBe('Remove from the queue: the queued one')
    await seen(page.getByRole('navigation').getByText('2 queued'))
    expect(await order()).toEqual(['the queued one', 'the later one'])
    await page.getByRole('radio', { name: /^Steer/ }).check()
    await say(page, 'the steered one')
    await seen(articles(page, 'the steered one').getByText(/^pending/))
    await page.keyboard.press('Escape')
    await seen(page.getByText('Taken out of the queue'))
    await seen(articles(page, 'You said: the steered one'))
    const answers = await articles(page, 'You said: the').allTextContents()
    const answered = answers.map((text) => /You said: the (\w+)/.exec(text)?.[1])
    expect(answered).toEqual(['queued', 'later', 'steered'])
    await page.getByRole('button', { name: 'Stop' }).waitFor({ state: 'hidden' })
  })

  test('a thread is renamed', async () => {
    await run(scripted.url, runInput('renamed', 'first words'))
    const page = await open(`${scripted.url}/#/renamed`)
    await page.getByText('⋯').click()
    await page.getByRole('button', { name: 'Rename' }).click()
    const dialog = page.getByRole('dialog', { name: 'Rename this thread' })
    await dialog.getByRole('textbox', { name: 'Name' }).fill('The login test')
    await dialog.getByRole('button', { name: 'Rename' }).click()
    await seen(page.getByRole('heading', { name: 'The login test' }))
    await seen(page.getByRole('navigation').getByText('The login test'))
  })

  test('subagents stand nested, long results are cut with a way to the whole, failures tell their code', async () => {
    await run(runner.url, runInput('shapes', 'delegate'))
    await run(runner.url, runInput('shapes', 'long'))
    await run(runner.url, runInput('shapes', 'break'))
    const page = await open(`${runner.url}/#/shapes`)
    await seen(page.locator('.tool .subagent').getByText('I am the subagent.'))
    const result = page
      .locator('.tool')
      .filter({ hasText: `seq ${LONG_LINES}` })
      .getByLabel('Result')
    expect((await result.textContent())?.split('\n')).toHaveLength(14)
    await page.getByRole('button', { name: `Show all (${LONG_LINES} lines` }).click()
    expect((await result.textContent())?.split('\n')).toHaveLength(LONG_LINES)
    await seen(lastRun(page).getByText('model_error'))
    await seen(lastRun(page).getByText('failed', { exact: true }))
  })

  test('a thread is forgotten only after a second word', async () => {
    await run(scripted.url, runInput('forget', 'hello'))
    const page = await open(`${scripted.url}/#/forget`)
    const link = page
      .getByRole('navigation')
      .getByRole('link', { name: /^hello/ })
      .and(page.getByTitle('forget'))
    const ask = async (): Promise<void> => {
      await page.getByLabel('More').click()
      await page.getByRole('button', { name: 'Forget' }).click()
    }
    await page.getByLabel('More').click()
    await page.getByRole('button', { name: 'Forget' }).focus()
    // A key that is held down is one word.
    await page.keyboard.down('Enter')
    const dialog = page.getByRole('dialog', { name: 'Forget this thread' })
    await seen(dialog)
    await page.keyboard.down('Enter')
    await page.keyboard.up('Enter')
    expect(await dialog.isVisible()).toBe(true)
    await page.getByRole('button', { name: 'Keep' }).click()
    await seen(link)
    await ask()
    await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click()
    await link.waitFor({ state: 'detached' })
    expect((await fetch(`${scripted.url}/sessions/forget`)).status).toBe(404)
  })

  test('the token is asked for; a wrong one is refused, the right one opens, also after a reload, and /docs', async () => {
    const token = 'the-right-token'
    const locked = await bench.open({
      AGUI_TOKEN: token,
      RUNNER_STATE_DIR: join(bench.directory, 'locked'),
      EVENT_BYTES_MAX: '8192',
    })
    const page = await open(locked.url)
    expected = /401/
    const field = page.getByLabel('Session token')
    await seen(field)
    expect(await axeFindings(page)).toEqual([])
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await contrastFindings(page)).toEqual([])
    await page.setViewportSize({ width: 320, height: 700 })
    const title = page.getByRole('heading', { name: 'Sign in to agui-runner' })
    expect((await title.boundingBox())?.width).toBeGreaterThan(200)
    await page.setViewportSize({ width: 1180, height: 760 })
    expect(await page.getByRole('textbox', { name: 'Prompt' }).isVisible()).toBe(false)
    await field.fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await seen(page.getByText('The runner does not take this token.'))
    await field.fill(token)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await seen(page.getByText('ready', { exact: true }))
    await say(page, 'hello')
    await seen(articles(page, 'You said: hello'))
    watched.problems.length = 0
    await page.reload()
    await seen(articles(page, 'You said: hello'))
    expect(watched.problems).toEqual([])
    expect(page.url()).not.toContain(token)
    // The same tab has the token for the other page, too.
    await page.goto(`${locked.url}/docs`)
    await seen(page.getByRole('heading', { name: 'Runs' }))
    await page.goBack()
    // A link could not send the token.
    await say(page, 'huge')
    await seen(articles(page, 'That was much.'))
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: /^Save the whole/ }).click(),
    ])
    const whole = readFileSync(await download.path(), 'utf8')
    expect(whole.split('\n').filter((text) => /^\d+$/.test(text))).toHaveLength(HUGE_LINES)
  })

  test('what keeps runs from working is told at once; the own thread of the sandbox is open', async () => {
    const empty = { ANTHROPIC_BASE_URL: '', ACP_OPENSHELL_INFERENCE: '', ANTHROPIC_API_KEY: '' }
    const state = { RUNNER_STATE_DIR: join(bench.directory, 'routeless'), SESSION_ID: 'own' }
    const routeless = await bench.open({ ...empty, ...state })
    const page = await open(routeless.url)
    expected = /503/
    await seen(page.getByText('not ready', { exact: true }))
    // The sandbox's own thread is what an operator comes for.
    await seen(page.getByRole('heading', { name: 'own', exact: true }))
    await seen(page.getByText(/There is no way to a model|No route|no model route/i))
    expect(await axeFindings(page)).toEqual([])
  })

  test('phone width, dark and light: all is in reach, nothing sticks out', async () => {
    const page = await open(`${runner.url}/#/shapes`, {
      viewport: { width: 360, height: 700 },
      colorScheme: 'dark',
    })
    await seen(lastRun(page).getByText('failed', { exact: true }))
    const background = (): Promise<unknown> =>
      page.evaluate('getComputedStyle(document.body).backgroundColor')
    const dark = await background()
    await page.emulateMedia({ colorScheme: 'light' })
    expect(await background()).not.toBe(dark)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    const list = page.getByRole('button', { name: 'Threads' })
    expect(await list.getAttribute('aria-expanded')).toBe('false')
    await list.click()
    const link = page.getByRole('link', { name: /^delegate/ })
    await link.click()
    await seen(page.getByRole('heading', { name: 'delegate' }))
    await link.waitFor({ state: 'hidden' })
  })

  test('/docs lists every operation of the document, and needs nothing but itself', async () => {
    const document = await bodyOf(await fetch(`${runner.url}/openapi.json`))
    const ids = Object.values<Record<string, { operationId: string }>>(document['paths']).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    )
    const page = await open(`${runner.url}/docs`)
    expect(watched.requests).toEqual([`${runner.url}/docs`])
    await page.context().setOffline(true)
    const shown = await page
      .locator('section:not(#schemas, #events) details')
      .evaluateAll((all) => all.map(({ id }) => id))
    expect(shown.sort()).toEqual(ids.sort())
    const one = page.locator('#post')
    await one.getByText('RunAgentInput in').click()
    expect(await axeFindings(page)).toEqual([])
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await contrastFindings(page)).toEqual([])
    await seen(one.getByText('curl -N -X POST'))
    await one.getByRole('link', { name: 'RunAgentInput' }).click()
    await page.locator('#schema-RunAgentInput').getByText('RunAgentInput').first().click()
    await seen(page.locator('#schema-RunAgentInput pre'))
    expect(watched.requests).toEqual([`${runner.url}/docs`])
    await page.context().setOffline(false)
    await page.getByRole('searchbox').fill('the process serves')
    const health = page.locator('#getHealth')
    expect(await page.locator('main section > details:visible').count()).toBe(2)
    await health.locator('summary').click()
    await health.getByRole('button', { name: 'Send' }).click()
    await seen(health.getByText('"status":"healthy"'))
  })
})
