import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { mockGatewayCommand } from '../../src/cli/mock-gateway.ts'
import { soon } from './edge-client.ts'

const START = `
  import { mockGatewayCommand } from './src/cli/mock-gateway.ts'
  await mockGatewayCommand().parseAsync(process.argv.slice(1), { from: 'user' })
`

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'mock-gateway-command-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function start(args: string[]) {
  const directory = await temporary()
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', START, '--', ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], HOME: directory, TMPDIR: directory },
    },
  )
  onTestFinished(() => void child.kill('SIGKILL'))
  return { child, directory, lines: createInterface({ input: child.stdout }) }
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  'it prints JSON, answers by the script, and %s ends it',
  async (signal) => {
    const script = join(await temporary(), 'script.yaml')
    await writeFile(script, 'rules:\n  - reply: "scripted {{prompt}}"\n')
    const { child, directory, lines } = await start(['--json', '--script', script, '--model', 'm'])
    const [line] = await once(lines, 'line', { signal: soon() })
    const told = JSON.parse(line)
    expect(told).toMatchObject({ proxyUrl: told.directUrl, environment: { HTTPS_PROXY: told.proxyUrl } })
    await access(told.caFile)
    const body = JSON.stringify({ model: 'x', stream: false, messages: [{ role: 'user', content: 'hi' }] })
    const answer = await fetch(`${told.directUrl}/v1/messages`, { method: 'POST', body })
    expect(await answer.json()).toMatchObject({ content: [{ text: 'scripted hi' }] })
    child.kill(signal)
    expect(await once(child, 'exit', { signal: soon() })).toEqual([0, null])
    expect((await readdir(directory)).filter((name) => name.startsWith('agui-runner-mock-'))).toEqual([])
  },
)

test('without --json it prints lines for a shell', async () => {
  const { child, lines } = await start([])
  const printed: string[] = []
  for await (const line of lines) {
    printed.push(line)
    if (line.startsWith('export GIT_SSL_CAINFO=')) child.kill('SIGTERM')
  }
  expect(printed[0]).toMatch(/^Proxy {6}http:\/\/127\.0\.0\.1:\d+/)
  expect(printed).toContain("export ANTHROPIC_BASE_URL='https://inference.local'")
})

test.each([
  [['--script', '/nowhere/script.yaml'], 'Cannot read the script /nowhere/script.yaml'],
  [['--port', '70000'], 'a whole number from 0 to 65535'],
])('%j is refused', async (args, message) => {
  const command = mockGatewayCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
  await expect(command.parseAsync(args, { from: 'user' })).rejects.toThrow(message)
})
