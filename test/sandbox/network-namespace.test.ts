import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { type NetworkNamespace, openNetworkNamespace } from '../../src/sandbox/bwrap/network-namespace.ts'
import { findTools } from '../../src/sandbox/bwrap/tools.ts'
import { missingNeed } from './needs.ts'

const CHILD_TABLE = '/proc/sys/net/ipv4/tcp_child_ehash_entries'

let network: NetworkNamespace | undefined
afterEach(() => network?.close())

async function inside(command: string): Promise<string> {
  const found = findTools()
  if ('missing' in found) throw new Error(`Not installed: ${found.missing.join(', ')}`)
  network = await openNetworkNamespace(found.tools)
  const join = [`--net=${network.networkPath}`]
  if (network.userPath !== undefined) join.push(`--user=${network.userPath}`, '--preserve-credentials')
  return execFileSync(found.tools.nsenter, [...join, '--', '/bin/sh', '-c', command], { encoding: 'utf8' })
}

const missing = missingNeed()

describe.skipIf(missing !== undefined)(`a namespace${missing === undefined ? '' : ` (${missing})`}`, () => {
  test.runIf(existsSync(CHILD_TABLE))(
    'finding a connection is quick: the kernel walks a small table',
    async () => {
      // A negative number is the table of the whole machine.
      expect(await inside('cd /proc/sys/net/ipv4; cat tcp_ehash_entries tcp_max_tw_buckets')).toBe('64\n32\n')
    },
  )

  test('nothing is there but the loopback device, and whoever is inside keeps the uid', async () => {
    expect(await inside("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; id -u")).toBe(
      `lo\n${process.getuid?.()}\n`,
    )
  })
})
