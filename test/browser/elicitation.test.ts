// What MCP's reference server asks, answered in the console by a person in Chromium.
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { axeFindings } from './axe.ts'
import { missingChromium, openBrowser, openPage, type Watched } from './chromium.ts'

const EVERYTHING = join(
  dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/package.json')),
  'dist/index.js',
)
const FORM = 'mcp__everything__trigger-elicitation-request'
const LINK = 'mcp__everything__trigger-url-elicitation'
const page = (url: string) => ({ url, message: 'Please consent.', errorPath: false })
const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'Make the call now', round: 0 }, reply: [{ tool: FORM, input: {} }] },
    { when: { prompt: 'form', round: 0 }, reply: [{ tool: FORM, input: {} }] },
    {
      when: { prompt: 'link', round: 0 },
      reply: [{ tool: LINK, input: page('https://example.com/consent') }],
    },
    { when: { result: { matches: '.*' } }, reply: 'It said: {{result}}' },
    { reply: 'You said: {{prompt}}' },
  ],
}

const reason = missingChromium()

describe.skipIf(reason !== undefined)(`an MCP server's questions (${reason ?? 'Chromium is here'})`, () => {
  let browser: Browser
  let bench: Bench
  let runner: RunnerProcess
  let watched: Watched
  /** The one thread, as a page's address has it: its server's process is started once. */
  let thread = ''
  /** Words of problems that the test itself makes. */
  let expected: RegExp | undefined

  const start = (): Promise<RunnerProcess> =>
    bench.start({
      PERMISSION_MODE: 'accept-edits',
      PAYLOAD_MCP_CONFIG_FILE: join(bench.directory, 'mcp.json'),
      SDK_OPTIONS: JSON.stringify({ allowedTools: [FORM, LINK] }),
    })
  beforeAll(async () => {
    bench = await openBench({ script: SCRIPT })
    const everything = { command: process.execPath, args: [EVERYTHING], env: {} }
    writeFileSync(join(bench.directory, 'mcp.json'), JSON.stringify({ mcpServers: { everything } }))
    ;[browser, runner] = await Promise.all([openBrowser(), start()])
  })
  afterAll(async () => {
    await browser?.close()
    await bench?.close()
  })
  afterEach(async () => {
    const { search, hash } = new URL(watched.page.url())
    thread = `${search}${hash}`
    await watched.page.context().close()
    expect(watched.problems.filter((problem) => expected?.test(problem) !== true)).toEqual([])
    expected = undefined
  })

  const ask = async (prompt: string): Promise<Page> => {
    watched = await openPage(browser)
    await watched.page.goto(`${runner.url}/${thread}`)
    await watched.page.getByRole('textbox', { name: 'Prompt' }).fill(prompt)
    await watched.page.keyboard.press('Enter')
    return watched.page
  }
  const forms = (page: Page): Locator => page.getByRole('form', { name: 'An MCP server asks' })
  const press = (form: Locator, name: string): Promise<void> =>
    form.getByRole('button', { name, exact: true }).click()
  const seen = (locator: Locator): Promise<void> => locator.waitFor({ timeout: 20_000 })
  const said = (page: Page, text: string | RegExp): Promise<void> =>
    seen(page.getByRole('article').filter({ hasText: 'It said:' }).filter({ hasText: text }).first())

  test('every kind of field is filled in, refused with its place, kept over a reload and a restart, and heard', async () => {
    const page = await ask('form')
    await seen(forms(page))
    await page.reload()
    await seen(forms(page))
    await runner.stop('SIGKILL')
    expected = /ERR_CONNECTION_REFUSED|Failed to load|ERR_INCOMPLETE|ERR_EMPTY|WebSocket/
    runner = await start()
    await page.goto(`${runner.url}/${new URL(page.url()).search}${new URL(page.url()).hash}`)
    const form = forms(page)
    const field = (name: string): Locator => form.getByLabel(name, { exact: true })
    await seen(form)
    expect(await axeFindings(page)).toEqual([])
    // On a phone there is room to write, and the words about a field stand below it.
    await page.setViewportSize({ width: 360, height: 700 })
    expect((await field('String with email format').boundingBox())?.width).toBeGreaterThan(250)
    await page.setViewportSize({ width: 1180, height: 760 })
    await press(form, 'Answer')
    await seen(form.getByRole('alert').filter({ hasText: 'payload.content.name' }))
    await field('String *').fill('Ada')
    await field('Boolean').check()
    await field('String with email format').fill('ada@example.com')
    await field('String with uri format').fill('https://example.com/ada')
    await field('String with date format').fill('1815-12-10')
    await field('Integer').fill('101')
    await press(form, 'Answer')
    await seen(form.getByRole('alert').filter({ hasText: 'payload.content.integer' }))
    await field('Integer').fill('7')
    // What is no number is not left out as if nothing had been typed.
    await field('Number in range 1-1000').fill('')
    await field('Number in range 1-1000').pressSequentially('1e')
    await press(form, 'Answer')
    expect(await page.locator(':focus').getAttribute('name')).toBe('number')
    await field('Number in range 1-1000').fill('2.5')
    await field('Untitled Single Select Enum').selectOption('Joey')
    // One may choose none where nothing is required, though whoever chooses has to choose one at least.
    await field('Untitled Multiple Select Enum').selectOption([])
    await field('Titled Single Select Enum').selectOption({ label: 'Green Lantern' })
    await field('Titled Multiple Select Enum').selectOption([{ label: 'Tuna' }, { label: 'Trout' }])
    await field('Legacy Titled Single Select Enum').selectOption({ label: 'Birds' })
    await press(form, 'Answer')
    await said(page, 'Name: Ada')
    const heard = JSON.stringify(bench.gateway.requests.at(-1)?.body)
    for (const words of [
      '- Agreed to terms: true',
      '- Email: ada@example.com',
      '- Homepage: https://example.com/ada',
      '- Birthdate: 1815-12-10',
      '- Favorite Integer: 7',
    ])
      expect(heard).toContain(words)
    for (const given of ['"number": 2.5', 'hero-2', 'fish-1', 'fish-3', 'pet-3', 'Joey'])
      expect(heard.replaceAll('\\', '')).toContain(given)
    expect(heard).not.toContain('Guitar')
  })

  test.each([
    ['Decline', 'User declined'],
    ['Dismiss', 'User cancelled'],
  ])('%s is what the server hears', async (button, heard) => {
    const page = await ask('form')
    await seen(forms(page))
    await press(forms(page), button)
    await said(page, heard)
  })

  test('a page to go to is a link that opens elsewhere, and is done', async () => {
    const page = await ask('link')
    await seen(forms(page))
    const link = forms(page).getByRole('link', { name: 'https://example.com/consent' })
    expect(await link.getAttribute('href')).toBe('https://example.com/consent')
    expect(await link.getAttribute('target')).toBe('_blank')
    await press(forms(page), 'Done')
    await said(page, 'accept')
  })
})
