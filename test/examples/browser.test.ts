import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missingChromium, openBrowser, openPage, type Watched } from '../browser/chromium.ts'
import { run, runInput } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { type Example, missingPackages, startExample } from './example.ts'

const TOKEN = 'token-of-the-plain-page'
const reason = missingChromium() ?? missingPackages('browser')

describe.skipIf(reason !== undefined)(`examples/browser (${reason ?? 'its packages are here'})`, () => {
  let bench: Bench
  let runner: RunnerProcess
  let example: Example
  let browser: Browser
  let watched: Watched
  let env: Record<string, string>

  beforeAll(async () => {
    // The runner has to know the page's origin before the page can know the runner's.
    const port = await freePort()
    bench = await openBench({
      script: {
        rules: [
          { when: { prompt: 'hang' }, reply: ['Wait for it.', { hang: true }] },
          { reply: 'You said: {{prompt}}' },
        ],
      },
    })
    env = { AGUI_TOKEN: TOKEN, AGUI_ALLOWED_ORIGINS: `http://127.0.0.1:${port}` }
    runner = await bench.start(env)
    ;[example, browser] = await Promise.all([startExample('browser', runner.url, { port }), openBrowser()])
    watched = await openPage(browser)
  })
  afterAll(async () => {
    await browser?.close()
    await example?.close()
    await bench?.close()
  })

  test('signs in, runs, follows what others do, stops, and is there again after a reload', async () => {
    const { page } = watched
    const shows = (words: string): Promise<void> => page.getByText(words, { exact: true }).waitFor()
    const signIn = async (token: string): Promise<void> => {
      await page.getByLabel('Token').fill(token)
      await page.getByRole('button', { name: 'Connect' }).click()
    }
    const ends = page.getByRole('listitem').filter({ hasText: /^RUN_FINISHED$/ })
    await page.goto(example.url)
    const threadId = new URL(page.url()).searchParams.get('thread') ?? ''

    await signIn('a wrong one')
    await page.getByRole('alert').filter({ hasText: 'unauthorized' }).waitFor()
    await signIn(TOKEN)
    await page.getByLabel('Prompt').fill('good morning')
    await page.getByRole('button', { name: 'Send' }).click()
    await shows('You said: good morning')
    await expect.poll(() => ends.count()).toBe(1)

    // The events of another sender's run come over the same EventSource, by a new ticket when the first was spent.
    await run(runner.url, runInput(threadId, 'from elsewhere'), { authorization: `Bearer ${TOKEN}` })
    await expect.poll(() => ends.count()).toBe(2)

    await page.getByLabel('Prompt').fill('hang on')
    await page.getByRole('button', { name: 'Send' }).click()
    await shows('Wait for it.')
    await page.getByRole('button', { name: 'Stop' }).click()
    await expect.poll(() => ends.count()).toBe(3)

    await page.reload()
    await signIn(TOKEN)
    for (const words of [
      'good morning',
      'You said: good morning',
      'You said: from elsewhere',
      'Wait for it.',
    ])
      await shows(words)
    expect(watched.problems.filter((problem) => !/status of 401/.test(problem))).toEqual([])
    watched.problems.splice(0)

    // A runner that is started again finds its readers again.
    await runner.stop('SIGKILL')
    await page.getByRole('alert').filter({ hasText: 'Failed to fetch' }).waitFor()
    runner = await bench.start({ ...env, AGUI_PORT: new URL(runner.url).port })
    await run(runner.url, runInput(threadId, 'after a restart'), { authorization: `Bearer ${TOKEN}` })
    await expect.poll(() => ends.count()).toBe(4)
    expect(watched.problems.filter((problem) => !/net::ERR_/.test(problem))).toEqual([])
  })
})
