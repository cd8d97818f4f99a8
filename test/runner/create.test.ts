// Whatever fails while the runner is opened, what was opened before is closed: no process, no descriptor, no timer.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, expect, test } from 'vitest'
import { runEnded } from '../../src/channels.ts'
import { loadConfig } from '../../src/config.ts'
import { Listener } from '../../src/http/listener.ts'
import { createRunner } from '../../src/runner/create.ts'
import { StateFolder } from '../../src/runner/state-folder.ts'

const directory = mkdtempSync(join(tmpdir(), 'agui-create-test-'))
mkdirSync(join(directory, 'state'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const PARTS = ['credentials', 'enforcement', 'store', 'workspace', 'agent', 'threads', 'server']

/** Opens a runner and fails behind this part; tells the parts that were opened. */
async function openUntil(part: string): Promise<string[]> {
  const env = {
    ...{ PATH: process.env['PATH'], HOME: directory },
    ...{ WORKSPACE_PATH: join(directory, 'workspace'), RUNNER_STATE_DIR: join(directory, 'state') },
    ...{ ANTHROPIC_BASE_URL: 'http://127.0.0.1:9', ANTHROPIC_API_KEY: 'none', AGUI_PORT: '0' },
  }
  const config = loadConfig(env, { appDirectory: process.cwd(), workingDirectory: directory })
  const listener = await Listener.open({ ...config, ...config.limits })
  const opened: string[] = []
  const creating = createRunner({
    ...{ config, listener, env, version: '0', isMock: true },
    logger: pino({ enabled: false }),
    stateFolder: new StateFolder(config.stateDirectory),
    onOpened(name) {
      opened.push(name)
      if (name === part) throw new Error(`failed behind ${part}`)
    },
    onRunEnded: () => undefined,
    onFatal: () => undefined,
  })
  await expect(creating).rejects.toThrow(`failed behind ${part}`)
  return opened
}

/** What this process holds: descriptors, children, and whether somebody listens to the runs. */
const held = (): string[] => [
  ...readdirSync('/proc/self/fd').map(nameOf),
  ...readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' '),
  ...(runEnded.hasSubscribers ? ['a listener'] : []),
]

function nameOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    // That of the listing itself.
    return ''
  }
}

test('the composition root stays a list of parts', () => {
  expect(readFileSync('src/runner/create.ts', 'utf8').split('\n').length).toBeLessThanOrEqual(150)
})

test.each(PARTS)('what was opened is closed when the step behind %s fails', async (part) => {
  // The first one loads modules, whose descriptors and workers stay.
  await openUntil(part)
  const before = held()
  expect(await openUntil(part)).toEqual(PARTS.slice(0, PARTS.indexOf(part) + 1))
  // A file that ran before in this worker may still be letting go of something.
  expect(held().filter((each) => !before.includes(each))).toEqual([])
})
