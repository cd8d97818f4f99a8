// CopilotKit and assistant-ui as npm has them, in a real browser, on the real server with the real Claude Code.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { missingChromium, openBrowser, openPage, type Watched } from '../browser/chromium.ts'
import { type ClientEvent, events } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { type Example, missingPackages, startExample } from './example.ts'

const TOKEN = 'of-the-example'
const SIDE = 16
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR4nGM44KBAEmIY1TCqYfhqAAC85yAQb7u4kAAAAABJRU5ErkJggg==',
  'base64',
)
/** A folder for a picture of each state; none without it. */
const SHOTS = process.env['AGUI_SHOTS']

interface App {
  name: string
  /** Whether the app has buttons for another answer and for an edited question, as it comes. */
  goesBack: boolean
  input(page: Page): Locator
  send(page: Page): Locator
  stop(page: Page): Locator
}

const APPS: readonly App[] = [
  {
    name: 'copilotkit',
    goesBack: false,
    input: (page) => page.getByRole('textbox'),
    // One button is both.
    send: (page) => page.getByTestId('copilot-send-button'),
    stop: (page) => page.getByTestId('copilot-send-button'),
  },
  {
    name: 'assistant-ui',
    goesBack: true,
    input: (page) => page.getByLabel('Message'),
    send: (page) => page.getByRole('button', { name: 'Send' }),
    stop: (page) => page.getByRole('button', { name: 'Stop' }),
  },
]

/** `tool` is the page's, as the model knows it. */
const scriptFor = (tool: string): Script => ({
  rules: [
    ...(tool === ''
      ? []
      : [{ when: { prompt: 'paint', round: 0 }, reply: [{ tool, input: { color: 'lavender' } }] }]),
    { when: { prompt: 'make', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'touch made' } }] },
    {
      when: { prompt: 'look', round: 0 },
      reply: [{ tool: 'Read', input: { file_path: '{{cwd}}/shot.png' } }],
    },
    { when: { prompt: 'hang' }, reply: ['Wait for it.', { hang: true }] },
    { when: { prompt: 'paint', result: { matches: 'lavender now' } }, reply: 'It is lavender.' },
    { when: { prompt: 'make', result: { isError: false } }, reply: 'The file is made.' },
    { when: { prompt: 'look', round: 1 }, reply: 'I saw the picture.' },
    { reply: 'You said: {{prompt}}' },
  ],
})

const chromium = missingChromium()

describe.each(APPS)('examples/$name', ({ name, goesBack, input, send, stop }) => {
  const reason = chromium ?? missingPackages(name)
  let bench: Bench
  let runner: RunnerProcess
  let example: Example
  let browser: Browser
  let watched: Watched
  let threadId: string

  beforeAll(async () => {
    if (reason !== undefined) return
    bench = await openBench({ script: scriptFor('') })
    writeFileSync(join(bench.workspace, 'shot.png'), PNG)
    runner = await bench.start({ PERMISSION_MODE: 'ask', AGUI_TOKEN: TOKEN })
    ;[example, browser] = await Promise.all([startExample(name, runner.url, { token: TOKEN }), openBrowser()])
    watched = await openPage(browser)
    const { page } = watched
    // These frameworks ask their makers' sites for this and that.
    await page.route(
      ({ hostname }) => hostname !== '127.0.0.1',
      (route) => route.abort(),
    )
    await page.goto(example.url)
    await input(page).waitFor()
    threadId = new URL(page.url()).searchParams.get('thread') ?? ''
  })
  afterAll(async () => {
    await browser?.close()
    await example?.close()
    await bench?.close()
  })

  const shoot = async (state: string): Promise<void> => {
    if (SHOTS === undefined) return
    mkdirSync(SHOTS, { recursive: true })
    await watched.page.screenshot({ path: join(SHOTS, `${name}-${state}.png`) })
  }
  const say = async (words: string): Promise<void> => {
    await input(watched.page).fill(words)
    await send(watched.page).click()
  }
  const shows = (words: string): Promise<void> => watched.page.getByText(words, { exact: true }).waitFor()
  const logged = async (): Promise<ClientEvent[]> => {
    const headers = { authorization: `Bearer ${TOKEN}` }
    return await events(await fetch(`${runner.url}/sessions/${threadId}/events?follow=false`, { headers }))
  }
  /** How many runs have been asked this. */
  const told = async (words: string): Promise<number> =>
    (await logged()).filter(
      ({ type, input: echo }) => type === 'RUN_STARTED' && JSON.stringify(echo).includes(words),
    ).length

  test.skipIf(reason !== undefined)(
    `does what an app has to (${reason ?? 'its packages are here'})`,
    async () => {
      const { page } = watched

      await say('good morning')
      await shows('You said: good morning')
      const offered = bench.gateway.requests.flatMap(({ facts }) => facts?.tools ?? [])
      bench.gateway.use(scriptFor(offered.find((tool) => tool.endsWith('__set_color')) ?? ''))

      await say('paint it')
      await shows('It is lavender.')
      expect(await page.locator('main').getAttribute('data-color')).toBe('lavender')
      await shoot('front-end-tool')

      await say('make a file')
      await page.getByRole('button', { name: 'Approve' }).waitFor()
      expect(existsSync(join(bench.workspace, 'made'))).toBe(false)
      await shoot('approval')
      await page.getByRole('button', { name: 'Approve' }).click()
      await shows('The file is made.')
      expect(existsSync(join(bench.workspace, 'made'))).toBe(true)
      expect(await page.getByRole('button', { name: 'Approve' }).count()).toBe(0)

      await say('look at it')
      await shows('I saw the picture.')
      const width = () =>
        page.getByAltText('Result of Read').evaluate((image) => Reflect.get(image, 'naturalWidth'))
      await expect.poll(width).toBe(SIDE)
      await shoot('image')

      await say('hang on')
      await shows('Wait for it.')
      await shoot('running')
      await stop(page).click()
      await expect
        .poll(async () => (await logged()).at(-1), { timeout: 15_000 })
        .toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
      await say('go on')
      await shows('You said: go on')
      await shoot('stopped')

      await page.reload()
      for (const words of [
        'It is lavender.',
        'The file is made.',
        'I saw the picture.',
        'Wait for it.',
        'You said: go on',
      ])
        await shows(words)
      await expect.poll(width).toBe(SIDE)
      await shoot('reloaded')
      await say('and now')
      await shows('You said: and now')

      // The words of the last one are there before its end is.
      const ends = async () =>
        (await logged()).flatMap(({ type, outcome }) => (type === 'RUN_FINISHED' ? [outcome?.type] : []))
      await expect
        .poll(ends)
        .toEqual([
          'success',
          'success',
          'success',
          'interrupt',
          'success',
          'success',
          'cancelled',
          'success',
          'success',
        ])
      if (goesBack) {
        await page.getByRole('button', { name: 'Again' }).last().click()
        await expect.poll(async () => await told('and now')).toBe(2)
        await shows('You said: and now')
        await page.getByRole('button', { name: 'Edit' }).last().click()
        await page.getByLabel('Edited message').fill('and later')
        await page.getByRole('button', { name: 'Ask' }).click()
        await shows('You said: and later')
        expect(await page.getByText('You said: and now', { exact: true }).count()).toBe(0)
        await shoot('edited')
        await page.reload()
        await shows('You said: and later')
        expect(await page.getByText('You said: and now', { exact: true }).count()).toBe(0)
        const asked = bench.gateway.requests.filter(({ route }) => route === 'inference')
        expect(JSON.stringify(asked.at(-1)?.body)).not.toContain('and now')
      }

      // What is asked of makers' sites fails here, and assistant-ui asks for the history of a thread that is new.
      expect(watched.problems.filter((problem) => !/ERR_FAILED|status of 404/.test(problem))).toEqual([])
    },
    90_000,
  )
})
