// A real browser for the pages: Debian's chromium, installed when that may be; nothing is downloaded by npm. Its headless
// shell is the same engine without the browser around it, for a third of the processor time less.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'

const PROGRAMS = ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'] as const
const APT = '/usr/bin/apt-get'
const INSTALL_MS_MAX = 300_000

/** Why the suite cannot run here; undefined when it can. A failure where CI=true. */
export function missingChromium(): string | undefined {
  if (program() === undefined) install()
  if (program() !== undefined) return undefined
  const reason = `${PROGRAMS.join(' and ')} are not there and cannot be installed`
  if (process.env['CI'] === 'true') throw new Error(reason)
  return reason
}

const program = (): string | undefined => PROGRAMS.find((path) => existsSync(path))

function install(): void {
  if (process.getuid?.() !== 0 || !existsSync(APT)) return
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const options = { timeout: INSTALL_MS_MAX, stdio: 'ignore', env } as const
  try {
    execFileSync(APT, ['update', '-qq'], options)
    execFileSync(APT, ['install', '-y', '-qq', 'chromium-headless-shell'], options)
  } catch {
    // What is missing then is told by name.
  }
}

/** With a new profile in TMPDIR, which goes when the browser closes. */
export function openBrowser(more: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: program() ?? PROGRAMS[0],
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Fewer processes for the same pages.
      '--in-process-gpu',
      '--disable-site-isolation-trials',
      ...more,
    ],
  })
}

export interface Watched {
  page: Page
  /** Errors and warnings of the page's console, broken policies and exceptions that nobody caught. */
  problems: string[]
  /** Everything the page asked for. */
  requests: string[]
}

/**
 * A page in a context of its own: nothing is kept from another test. Motion would be drawn by the processor, sixty times a second
 * for as long as a run lasts.
 */
export async function openPage(
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Watched> {
  const page = await (await browser.newContext({ reducedMotion: 'reduce', ...options })).newPage()
  const problems: string[] = []
  const requests: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text())
  })
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('request', (request) => requests.push(request.url()))
  page.on('dialog', (dialog) => {
    problems.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  return { page, problems, requests }
}
