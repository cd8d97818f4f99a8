// The scripted runner with the real link to a control plane made of the facts, on a folder that outlives it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { type LinkPush, Outgoing } from '../../src/platform-link/outgoing.ts'
import {
  openPlatformLink,
  type PlatformLink,
  type PlatformLinkOptions,
} from '../../src/platform-link/platform-link.ts'
import { proxySettings } from '../../src/proxy-settings.ts'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { ControlPlane, type ControlPlaneOptions } from './control-plane.ts'
import type { ScriptedAgentOptions } from './scripted-agent.ts'
import { openScriptedRunner, type ScriptedRunner } from './scripted-runner.ts'

export const SESSION = 'session-0001'

export interface LinkedRunner extends ScriptedRunner {
  readonly link: PlatformLink
  readonly lines: string[]
  /** What the whole log comes to. */
  expected(): Promise<LinkPush[]>
}

export interface Bench {
  readonly plane: ControlPlane
  readonly directory: string
  open(options?: OpenOptions): Promise<LinkedRunner>
  close(): Promise<void>
}

interface OpenOptions
  extends Partial<Pick<PlatformLinkOptions, 'caFiles' | 'firstPrompt' | 'flushMs' | 'times'>> {
  variables?: Record<string, string>
  /** Of the process, for its proxies. */
  env?: Record<string, string>
}

const TIMES = { retry: { first: 20, longest: 80 }, call: 1000, look: 300, watch: 5000 }

export async function openBench(
  agent: ScriptedAgentOptions,
  options: Partial<ControlPlaneOptions> = {},
): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), 'agui-link-test-'))
  const plane = new ControlPlane({ sessionId: SESSION, ...options })
  await plane.open()
  const open = new Set<ScriptedRunner>()
  return {
    plane,
    directory,
    async open({ variables = {}, env = {}, caFiles = [], firstPrompt, flushMs = 3000, times = TIMES } = {}) {
      const lines: string[] = []
      const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) })
      let link: PlatformLink | undefined
      const runner = await openScriptedRunner(
        agent,
        { ...plane.environment, ...variables },
        {
          directory,
          async link({ threads, storage, config }) {
            if (config.platformLink === undefined) throw new Error('no link is asked for')
            const redactor = createRedactor({ values: [] })
            const { workspace, platformLink: settings } = config
            const proxies = proxySettings(env)
            const parts = { threads, storage, workspace, settings, redactor, logger, proxies, caFiles }
            link = await openPlatformLink({ ...parts, firstPrompt, flushMs, times })
            return link
          },
        },
      )
      if (link === undefined) throw new Error('the link is not open')
      link.start()
      open.add(runner)
      return {
        ...runner,
        link,
        lines,
        async expected() {
          const outgoing = new Outgoing(0)
          const head = await runner.storage.log.head(SESSION)
          if (head === 0) return []
          const pushes: LinkPush[] = []
          for await (const batches of runner.storage.log.read(SESSION, 0, new AbortController().signal)) {
            for (const record of batches.flatMap((batch) => batch.records())) {
              pushes.push(...outgoing.apply(record))
              if (record.seq === head) return pushes
            }
          }
          return pushes
        },
        async close() {
          open.delete(runner)
          await runner.close()
        },
      }
    },
    async close() {
      for (const runner of open) await runner.close()
      plane.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
