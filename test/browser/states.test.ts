// Every state of the console, one after the other in one page of a real browser, on the real server with the real Claude
// Code: axe finds nothing in it, in light and in dark, and on a phone nothing sticks out.
// AGUI_SHOTS=FOLDER keeps pictures of each, for the eye.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO } from '../../src/mock/demo.ts'
import type { Script } from '../../src/mock/script.ts'
import { post, run, runInput } from '../support/client.ts'
import { git } from '../support/git-server.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { axeFindings, contrastFindings } from './axe.ts'
import { missingChromium, openBrowser, openPage, type Watched } from './chromium.ts'
import { cutTexts } from './cut-text.ts'

const reason = missingChromium()
const SHOTS = process.env['AGUI_SHOTS']
const DESK = { width: 1180, height: 760 }
const PHONE = { width: 390, height: 800 }
/** A desktop page at 400 %, as WCAG 2.2 (1.4.10) has it. */
const ZOOMED = { width: 320, height: 800 }
/** Beside the list of threads there is least room. */
const TABLET = { width: 768, height: 800 }

const MARKDOWN = `## What was found

| test | time | state |
| :-- | --: | :-: |
| login | 4.2 s | **failed** |
| logout | 0.1 s | passed |

- [x] read the log
- [ ] fix the [login](https://example.com) test

- [ ] اكتب الاختبار
- [x] written from the left

> It fails since \`add\` has three arguments.

\`\`\`ts
export function add(a: number, b: number): number {
  return a + b // two
}
\`\`\`
`
const bash = (command: string) => ({ tool: 'Bash', input: { command, description: 'Look' } })
const WORD = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'
const DEEP = `${'a-folder-of-some-length/'.repeat(8)}notes.txt`
const LONG_URL = `https://example.com/${'a-part-of-some-length/'.repeat(12)}`
const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: '^long', round: 0 },
      reply: [
        { tool: 'TodoWrite', input: { todos: [{ content: WORD, status: 'pending', activeForm: WORD }] } },
        { tool: 'Read', input: { file_path: `{{cwd}}/${DEEP}` } },
        { tool: 'WebFetch', input: { url: LONG_URL, prompt: WORD } },
      ],
    },
    { when: { prompt: '^long' }, reply: 'That was long.' },
    {
      when: { prompt: '^which', round: 0 },
      reply: [
        {
          tool: 'AskUserQuestion',
          input: {
            questions: [
              {
                question: `Which ${WORD}?`,
                header: 'Which',
                multiSelect: false,
                options: [WORD, 'Another'].map((label) => ({ label, description: WORD })),
              },
            ],
          },
        },
      ],
    },
    {
      when: { prompt: '^deep', round: 0 },
      reply: [{ tool: 'Write', input: { file_path: `{{cwd}}/${DEEP}`, content: 'one\n' } }],
    },
    { when: { prompt: '^report' }, reply: MARKDOWN },
    {
      when: { prompt: '^change', round: 0 },
      reply: [{ tool: 'Write', input: { file_path: '{{cwd}}/notes.txt', content: 'one\ntwo\n' } }],
    },
    {
      when: { prompt: '^change', round: 1 },
      reply: [
        {
          tool: 'Edit',
          input: { file_path: '{{cwd}}/notes.txt', old_string: 'two', new_string: 'three' },
        },
        bash('echo "no such test" && exit 3'),
        { tool: 'Read', input: { file_path: '{{cwd}}/notes.txt', offset: 1, limit: 2 } },
      ],
    },
    { when: { prompt: '^change' }, reply: 'Changed.' },
    { when: { prompt: '^think' }, reply: [{ thinking: 'Well.\nThen again.' }, { text: 'Thought.' }] },
    {
      when: { prompt: '^delegate', round: 0, subagent: false },
      reply: [
        { tool: 'Agent', input: { description: 'look', prompt: 'look', subagent_type: 'general-purpose' } },
      ],
    },
    { when: { subagent: true }, reply: 'I am the subagent.' },
    { when: { prompt: '^delegate' }, reply: 'It came back.' },
    { when: { prompt: '^wait' }, reply: [{ text: 'Working on it…', open: true }, { gate: 'never' }] },
    ...DEMO.rules,
  ],
}

describe.skipIf(reason !== undefined)(`states of the console (${reason ?? 'Chromium is here'})`, () => {
  let browser: Browser
  let bench: Bench
  let runner: OpenRunner
  let watched: Watched
  let page: Page

  beforeAll(async () => {
    bench = await openBench({ script: SCRIPT })
    prepareRepository(bench.workspace)
    ;[browser, runner] = await Promise.all([openBrowser(), bench.open()])
    watched = await openPage(browser, { viewport: DESK, colorScheme: 'light', reducedMotion: 'reduce' })
    page = watched.page
    await page.goto(runner.url)
  })
  afterAll(async () => {
    await browser?.close()
    await bench?.close()
    expect(watched.problems.filter((problem) => !/ERR_INTERNET_DISCONNECTED/.test(problem))).toEqual([])
  })

  const seen = (locator: Locator): Promise<void> => locator.waitFor({ timeout: 15_000 })
  const button = (name: string | RegExp): Locator => page.getByRole('button', { name })
  const open = async (threadId: string): Promise<void> => {
    await page.evaluate(`location.hash = '#/${threadId}'`)
  }
  const say = async (prompt: string): Promise<void> => {
    await page.getByRole('textbox', { name: 'Prompt' }).fill(prompt)
    await page.keyboard.press('Enter')
  }
  const asking = (threadId: string, prompt: string): Promise<unknown> =>
    run(runner.url, {
      ...runInput(threadId, prompt),
      forwardedProps: { claude: { permissionMode: 'ask' } },
    })
  const lastRun = (): Locator => page.getByRole('group', { name: /^Run / }).last()

  /** Looks at the page as it is now. */
  async function look(name: string): Promise<void> {
    const shoot = async (kind: string): Promise<void> => {
      if (SHOTS === undefined) return
      mkdirSync(SHOTS, { recursive: true })
      await page.screenshot({ path: join(SHOTS, `${name}${kind}.png`) })
    }
    const findings = await axeFindings(page)
    await shoot('')
    await page.emulateMedia({ colorScheme: 'dark' })
    findings.push(...(await contrastFindings(page)))
    await shoot('-dark')
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize(PHONE)
    await shoot('-phone')
    await page.setViewportSize(ZOOMED)
    const width = await page.evaluate('document.documentElement.scrollWidth')
    const cut = await cutTexts(page)
    await page.setViewportSize(DESK)
    expect([name, findings, width, cut]).toEqual([name, [], ZOOMED.width, []])
  }

  const STATES: readonly (readonly [name: string, go: () => Promise<void>])[] = [
    [
      'first visit',
      async () => {
        await seen(page.getByText('No threads yet.'))
        await page.setViewportSize(TABLET)
        const [permissions, send] = [page.getByLabel('Permissions'), button('Send')]
        const [left, right] = await Promise.all([permissions.boundingBox(), send.boundingBox()])
        expect((left?.x ?? 0) + (left?.width ?? 0)).toBeLessThanOrEqual(right?.x ?? 0)
      },
    ],
    [
      'an example with the permissions it needs',
      async () => {
        await button(/^Ask me a question/).click()
        await expect.poll(() => page.getByLabel('Permissions').inputValue()).toBe('ask')
      },
    ],
    [
      'a question',
      async () => {
        await page.keyboard.press('Enter')
        await seen(page.getByRole('group', { name: 'Which colour should it be?' }))
      },
    ],
    [
      'markdown',
      async () => {
        await Promise.all([
          run(runner.url, runInput('read', 'report')),
          asking('write', 'Write a file notes.md'),
          run(runner.url, runInput('fail', 'fail')),
        ])
        await open('read')
        await seen(page.locator('.hljs-keyword').first())
        // In a list of both directions each box stands before its words.
        const covered = `[...document.querySelectorAll('li.task')].filter((item) => {
          const words = document.createRange()
          words.selectNodeContents(item.lastChild)
          const [box, text] = [item.querySelector('input').getBoundingClientRect(), words.getBoundingClientRect()]
          return box.left < text.right && text.left < box.right
        }).length`
        expect(await page.evaluate(covered)).toBe(0)
      },
    ],
    [
      'tool calls',
      async () => {
        await say('change it')
        await seen(page.getByText('Exit code 3'))
        await seen(page.locator('.removed').getByText('two'))
        await seen(page.getByRole('article').filter({ hasText: 'Changed.' }))
      },
    ],
    [
      'reasoning',
      async () => {
        await say('think')
        await seen(page.getByRole('article').filter({ hasText: 'Thought.' }))
        await page.locator('.reasoning summary').click()
      },
    ],
    [
      'a subagent',
      async () => {
        await say('delegate')
        await seen(page.locator('.tool .subagent').getByText('I am the subagent.'))
        await seen(page.locator('.tool summary').getByText('the report as the model reads it'))
        expect(await page.getByText('[Subagent hand-back]').filter({ visible: true }).count()).toBe(0)
        await seen(page.getByRole('article').filter({ hasText: 'It came back.' }))
      },
    ],
    [
      'places found',
      async () => {
        await page.getByLabel('Find in thread').fill('three')
        await seen(page.getByRole('group', { name: 'Places found' }))
        await button('Next place').click()
        expect(await page.evaluate("CSS.highlights.get('found').size")).toBeGreaterThan(0)
      },
    ],
    [
      'the menu of a thread',
      async () => {
        // Escape empties the field; it neither stops a run nor leaves the thread.
        await page.keyboard.press('Escape')
        await page.getByLabel('Find in thread').fill('')
        await page.getByLabel('More').click()
        await seen(button('Save as JSON'))
      },
    ],
    [
      'renaming',
      async () => {
        await button('Rename').click()
        await seen(page.getByRole('dialog', { name: 'Rename this thread' }))
      },
    ],
    [
      'edits of a thread',
      async () => {
        await button('Keep').click()
        await page.getByLabel('More').click()
        await button('Edits of this thread').click()
        await seen(page.getByRole('dialog').locator('.added').first())
      },
    ],
    [
      'an approval',
      async () => {
        await button('Close').click()
        // Whoever came by keys goes on from where the dialog was asked for.
        expect(await page.locator(':focus').getAttribute('aria-label')).toBe('More')
        await open('write')
        const card = page.getByRole('form', { name: 'May Write run?' })
        await seen(card.locator('.added').first())
        await seen(button('Always allow Write in this session'))
        expect(await page.locator('#show-threads').textContent()).toBe('Threads2 need you')
      },
    ],
    ['an approval whose arguments are edited', () => page.getByText('Edit the arguments').click()],
    [
      'an answer that was given',
      async () => {
        await page.getByText('Edit the arguments').click()
        await seen(page.locator('kbd').filter({ hasText: 'n' }))
        await page.getByRole('form', { name: 'May Write run?' }).focus()
        await page.keyboard.press('n')
        await seen(page.getByText(/^Refused by you at \d\d:\d\d/))
        // It is no failure.
        await seen(page.locator('.tool.refused').getByText('The person refused this call.'))
        expect(await page.locator('.tool').getByText('Error', { exact: true }).count()).toBe(0)
        await page.getByRole('form').filter({ hasText: 'Refuse' }).waitFor({ state: 'detached' })
        await expect.poll(() => page.locator(':focus').getAttribute('id')).toBe('transcript')
      },
    ],
    [
      'long words',
      async () => {
        await Promise.all([
          run(runner.url, runInput('long', 'long')),
          asking('which', 'which'),
          asking('deep', 'deep'),
        ])
        await open('long')
        // What is cut in the line of a call stands below it.
        await seen(page.getByLabel('url', { exact: true }).getByText(LONG_URL))
      },
    ],
    [
      'a question in long words',
      async () => {
        await open('which')
        await seen(page.getByRole('group', { name: `Which ${WORD}?` }))
      },
    ],
    [
      'an approval of an edit deep in folders',
      async () => {
        await open('deep')
        const path = page.getByRole('form', { name: 'May Write run?' }).locator('.path')
        await seen(path)
        expect(await path.evaluate(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)).toBe(true)
      },
    ],
    [
      'a run under way',
      async () => {
        await open('wait')
        await seen(page.getByText('not there'))
        await say('wait')
        await seen(page.getByRole('radio', { name: /^Steer/ }))
      },
    ],
    [
      'a queue and a message that is pending',
      async () => {
        await post(`${runner.url}/sessions/wait/messages`, { content: 'steered', delivery: 'steer' })
        await post(`${runner.url}/sessions/wait/messages`, { content: 'later', delivery: 'queue' })
        await seen(page.getByRole('list', { name: 'Queue' }).getByText('later'))
        await seen(page.getByText(/^pending/))
      },
    ],
    [
      'a connection that is lost',
      async () => {
        await page.context().setOffline(true)
        await seen(page.getByText(/^Connection lost\./))
        await seen(lastRun().getByText('unknown', { exact: true }))
        expect(await page.locator('#status').textContent()).toBe('The connection to the runner is lost.')
        // A screen reader does not count the seconds aloud.
        expect(
          await page
            .locator('[role=status], [role=alert]')
            .filter({ hasText: / \d+ s/ })
            .count(),
        ).toBe(0)
        await button('Files').click()
        await seen(page.getByRole('dialog').getByText('The runner does not answer.'))
        await page.keyboard.press('Escape')
      },
    ],
    [
      'a run that was stopped',
      async () => {
        await page.context().setOffline(false)
        await page.getByText('Connection lost.').waitFor({ state: 'hidden' })
        await button('Remove from the queue: later').click()
        await page.getByRole('list', { name: 'Queue' }).waitFor({ state: 'hidden' })
        await page.keyboard.press('Escape')
        await seen(page.getByText('stopped', { exact: true }).first())
        await button('Stop').waitFor({ state: 'hidden' })
      },
    ],
    [
      'a run that failed',
      async () => {
        await open('fail')
        await seen(lastRun().getByText('model_error'))
      },
    ],
    [
      'threads that are searched for',
      async () => {
        await page.locator('header h1').click()
        await page.keyboard.press('/')
        await page.keyboard.type('nothing has these words')
        await seen(page.getByText('No title, name or state has these words.'))
      },
    ],
    [
      'changed files',
      async () => {
        await page.getByLabel('Search threads').fill('')
        await page.locator('header h1').click()
        await page.keyboard.press('f')
        const dialog = page.getByRole('dialog', { name: 'Files of the workspace' })
        await dialog.getByText('src/add.ts').click()
        await seen(dialog.locator('.removed').getByText('return a + b'))
        await seen(dialog.locator('summary').filter({ hasText: 'gone.txt' }).getByText('deleted'))
      },
    ],
    [
      'a file',
      async () => {
        await button('All files').click()
        for (const name of ['repos/', 'app/', 'src/', 'add.ts'])
          await page.getByRole('dialog').getByRole('button', { name }).click()
        await seen(page.getByRole('dialog').getByText('4 lines'))
      },
    ],
    [
      'a file that cannot be shown',
      async () => {
        await page.getByRole('dialog').getByRole('button', { name: 'app', exact: true }).click()
        await button('logo.png').click()
        await seen(page.getByRole('alert').filter({ hasText: 'no UTF-8 text; download it' }))
        watched.problems.splice(0)
      },
    ],
    [
      'the keys',
      async () => {
        // The key comes before the page hears that the dialog of before is closed.
        await page.evaluate(`new Promise((heard) => {
          const dialog = document.querySelector('dialog')
          dialog.addEventListener('close', () => setTimeout(heard))
          dialog.close()
          document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '?', bubbles: true }))
        })`)
        await seen(page.getByRole('dialog', { name: 'Keyboard' }))
      },
    ],
    [
      'what was checked',
      async () => {
        await page.keyboard.press('Escape')
        await page.getByTitle('What was checked').click()
        await seen(page.getByText('enforced by openshell'))
      },
    ],
  ]

  test.each(STATES)('%s', async (name, go) => {
    await go()
    await look(name.replaceAll(' ', '-'))
  })

  test('Escape closes what is open, and the focus goes back to what opened it', async () => {
    await page.keyboard.press('Escape')
    expect(await page.locator('details.popover[open]').count()).toBe(0)
    expect(await page.locator(':focus').getAttribute('title')).toBe('What was checked')
  })

  test('the whole page is reached by Tab, from the top down', async () => {
    await open('read')
    await seen(page.getByRole('heading', { name: 'report' }))
    await page.locator('header h1').click()
    const names: string[] = []
    const focused =
      'document.activeElement.id || document.activeElement.title || document.activeElement.textContent'
    for (let press = 0; press < 60 && !names.includes('send'); press++) {
      await page.keyboard.press('Tab')
      names.push(String(await page.evaluate(focused)))
    }
    const order = [
      'What was checked',
      'Files of the workspace (f)',
      'new-thread',
      'thread-search',
      'find',
      'transcript',
      'prompt',
      'send',
    ]
    expect(names.filter((name) => order.includes(name))).toEqual(order)
  })

  test('the text is as large as the reader has set it in the browser', async () => {
    const size = 'parseFloat(getComputedStyle(document.body).fontSize)'
    const before = Number(await page.evaluate(size))
    await page.evaluate("document.documentElement.style.fontSize = '200%'")
    expect(await page.evaluate(size)).toBe(before * 2)
    await page.evaluate("document.documentElement.style.fontSize = ''")
  })

  test('in the colours of the system the open thread is still told apart', async () => {
    const edge = "getComputedStyle(document.querySelector('#thread-list [aria-current]')).borderLeftWidth"
    expect(await page.evaluate(edge)).toBe('0px')
    await page.emulateMedia({ forcedColors: 'active' })
    expect(await page.evaluate(edge)).toBe('4px')
    await page.emulateMedia({ forcedColors: 'none' })
  })

  test('who wants less motion gets none', async () => {
    await open('motion')
    await say('wait')
    await seen(lastRun().getByText('running…'))
    const moving = "document.getAnimations().filter(({ playState }) => playState === 'running').length"
    expect(await page.evaluate(moving)).toBe(0)
    await page.keyboard.press('Escape')
    await button('Stop').waitFor({ state: 'hidden' })
  })
})

function prepareRepository(workspace: string): void {
  const at = (path: string): string => join(workspace, 'repos/app', path)
  mkdirSync(at('src'), { recursive: true })
  const before =
    'export const one = 1\nexport function add(a: number, b: number): number {\n  return a + b\n}\n'
  writeFileSync(at('src/add.ts'), before)
  writeFileSync(at('gone.txt'), 'was here\n')
  writeFileSync(at('logo.png'), Buffer.from([0x89, 0x50, 0, 1]))
  git(at('.'), 'init', '--quiet', '--initial-branch=main')
  git(at('.'), 'add', '.')
  git(at('.'), 'commit', '--quiet', '--message=first')
  git(at('.'), 'rm', '--quiet', 'gone.txt')
  writeFileSync(at('src/add.ts'), before.replace('a + b\n', 'a + b + one\n'))
}
