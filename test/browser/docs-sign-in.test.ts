// /docs under a token, opened as a person does: by its address.
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { missingChromium, openBrowser, openPage } from './chromium.ts'

const reason = missingChromium()
const TOKEN = 'three plain words'
const FAILURES_MAX = 3

describe.skipIf(reason !== undefined)(`the document under a token (${reason ?? 'Chromium is here'})`, () => {
  let bench: Bench
  let runner: OpenRunner
  let browser: Browser

  beforeAll(async () => {
    bench = await openBench()
    runner = await bench.open({ AGUI_TOKEN: TOKEN, AUTH_FAILURES_PER_MINUTE_MAX: String(FAILURES_MAX) })
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await bench.close()
  })

  /** Resolves with the status of the request that follows, when it is made at all. */
  async function signIn(page: Page, token: string): Promise<number> {
    await page.getByLabel('Session token').fill(token)
    const answered = page.waitForResponse('**/docs')
    await page.getByRole('button', { name: 'Sign in' }).click()
    return (await answered).status()
  }

  test('it asks, says what is wrong, and shows the document when it is right', async () => {
    const { page, problems } = await openPage(browser)
    await page.goto(`${runner.url}/docs#schemas`)
    const alert = page.getByRole('alert')
    await page.getByLabel('Session token').fill('schlüssel')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await expect.poll(() => alert.textContent()).toBe('A token has only plain characters.')
    // The tab's first question counts: it had none.
    for (let wrong = 1; wrong < FAILURES_MAX; wrong += 1)
      expect(await signIn(page, `wrong ${wrong}`)).toBe(401)
    await expect.poll(() => alert.textContent()).toBe('The runner does not take this token.')
    expect(await signIn(page, 'one too many')).toBe(429)
    await expect.poll(() => alert.textContent()).toMatch(/too many wrong ones; try again in \d+ s/)
    expect(await signIn(page, TOKEN)).toBe(200)
    await page.getByRole('heading', { name: 'Schemas' }).waitFor()
    expect(await page.locator('#sign-in').count()).toBe(0)
    expect(await page.evaluate('scrollY')).toBeGreaterThan(0)

    await page.reload()
    await page.getByRole('heading', { name: 'Schemas' }).waitFor()
    await page.getByRole('link', { name: 'openapi.json' }).click()
    await page.waitForURL(/^blob:/)
    expect(await page.textContent('body')).toContain('"openapi":"3.1.0"')
    // What the browser says of the refusals, and nothing else.
    expect(problems.filter((problem) => !/status of (401|429)/.test(problem))).toEqual([])
    expect(page.url()).not.toContain(TOKEN)
    expect(await page.context().cookies()).toEqual([])
    await page.close()
  })
})
