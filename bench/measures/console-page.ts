import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Browser, Page } from 'playwright-core'
import { z } from 'zod'
import { missingChromium, openBrowser, openPage } from '../../test/browser/chromium.ts'
import { openScriptedRunner } from '../../test/support/scripted-runner.ts'
import type { Measure, Row } from '../support/measure.ts'
import { interleave } from '../support/statistics.ts'

const DELTAS = 20_000
const RESULT_BYTES = 5_000_000
const GZIP_BYTES_MAX = 90_000
const PAINT_MS_MAX = 300
const PAINTS = 12
const FRAME_MS_MAX = 100

export const consolePage: Measure = {
  name: 'console',
  title: 'The console in Chromium: size, first paint, longest frame',
  run: measure,
}

/** The time between two frames that the browser drew, at its longest since it was asked last. */
const WATCH_FRAMES = `
  let before = performance.now()
  window.longestFrame = 0
  requestAnimationFrame(function next(now) {
    window.longestFrame = Math.max(window.longestFrame, now - before)
    before = now
    requestAnimationFrame(next)
  })`

/** Resolves with the milliseconds from the navigation to the first text or picture on the screen. */
const FIRST_PAINT = `
  new Promise((done) => {
    new PerformanceObserver((list) => {
      for (const { name, startTime } of list.getEntries()) if (name === 'first-contentful-paint') done(startTime)
    }).observe({ type: 'paint', buffered: true })
  })`

async function measure(): Promise<Row[]> {
  const reason = missingChromium()
  if (reason !== undefined) throw new Error(reason)
  const bundle = gzipSync(readFileSync(join('dist', 'console', 'main.js')), { level: 9 }).length
  const rows: Row[] = [figure('bundle, gzip', 'bytes', bundle, GZIP_BYTES_MAX)]
  const line = 'a line of what a command printed, as long as lines are\n'
  const runner = await openScriptedRunner(
    {
      script: {
        rules: [
          {
            when: { prompt: 'stream' },
            reply: [{ deltas: { count: String(DELTAS), text: 'word {{n}}, ' } }],
          },
          { when: { prompt: 'huge', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'print' } }] },
          { reply: 'done' },
        ],
      },
      tools: { Bash: async () => line.repeat(RESULT_BYTES / line.length) },
    },
    { EVENT_BYTES_MAX: String(2 * RESULT_BYTES) },
  )
  const browser = await openBrowser()
  try {
    rows.push(await paintRow(browser, runner.url))
    for (const [name, label] of [
      ['stream', `longest frame, ${DELTAS} deltas live`],
      ['huge', `longest frame, a result of ${RESULT_BYTES / 1e6} MB, shown whole`],
    ] as const) {
      const { page } = await openPage(browser)
      await page.goto(`${runner.url}/#/${name}`)
      await page.getByRole('textbox', { name: 'Prompt' }).fill(name)
      await page.evaluate(WATCH_FRAMES)
      await page.keyboard.press('Enter')
      await page.getByText('finished', { exact: true }).waitFor({ timeout: 120_000 })
      if (name === 'huge') await page.getByRole('button', { name: /^Show all/ }).click()
      if (name === 'huge') await page.locator('.line-window').waitFor()
      rows.push(figure(label, 'ms', await longestFrame(page), FRAME_MS_MAX))
      await page.context().close()
    }
  } finally {
    await browser.close()
    await runner.close()
  }
  return rows
}

function figure(label: string, unit: string, ours: number, most: number): Row {
  return { label, unit, ours, target: `at most ${most} ${unit}`, pass: ours <= most }
}

/** The page in contexts of their own, nothing cached, in turns with a page of one line: what the browser itself takes. */
async function paintRow(browser: Browser, url: string): Promise<Row> {
  const pair = await interleave(PAINTS, {
    ours: () => firstPaint(browser, url),
    reference: () => firstPaint(browser, 'data:text/html,<p>one line'),
  })
  return {
    label: 'first paint',
    unit: 'ms',
    ...pair,
    against: 'a page of one line',
    target: `at most ${PAINT_MS_MAX} ms`,
    pass: pair.ours.median <= PAINT_MS_MAX,
  }
}

async function firstPaint(browser: Browser, url: string): Promise<number> {
  const { page } = await openPage(browser)
  try {
    await page.goto(url)
    return z.number().parse(await page.evaluate(FIRST_PAINT))
  } finally {
    await page.context().close()
  }
}

async function longestFrame(page: Page): Promise<number> {
  // Two frames later everything that was to be drawn is.
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
  return Math.round(z.number().parse(await page.evaluate('window.longestFrame')))
}
