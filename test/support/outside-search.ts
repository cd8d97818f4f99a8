// `agui-runner launch` itself, and whether anything of it shows the key to whoever looks.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { expect, test } from 'vitest'
import { DOCKER, TEST_IMAGE } from './engine.ts'
import { KEY, type Outside } from './outside.ts'

export function searchCases(outside: () => Outside): void {
  test('launch, public: one line says where the runner is; the key is nowhere in or around its container', async () => {
    const mode = 'public'
    const { start, engine, bench } = outside()
    const launched = start(['--mode', mode, '--workspace', 'none'], { command: 'launch' })
    await launched.has('stdout', '\n')
    const line = JSON.parse(launched.stdout())
    expect(line).toMatchObject({ msg: 'launched', mode, run: expect.stringMatching(/^[0-9a-f]{12}$/) })
    const dispatcher = new Agent({ connect: { socketPath: line.socket } })
    const ready = await request('http://localhost/ready', { dispatcher })
    expect(await ready.body.json()).toMatchObject({
      ready: true,
      checks: expect.arrayContaining([
        expect.objectContaining({ name: 'credentials', message: expect.stringMatching(/^held outside/) }),
      ]),
    })
    const name = `agui-runner-${line.run}`
    const inside = (script: string): string =>
      execFileSync(DOCKER, ['--host', engine.host, 'exec', '-i', name, 'sh', '-c', script], {
        encoding: 'utf8',
        input: KEY,
        env: {},
      })
    // The pattern comes by stdin: what searches for it does not show it. Then the same for what is there.
    // As the agent's own user: to root without rights less is readable.
    const search = 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/mounts 2>/dev/null'
    // What searches begins when all is read: its own arguments have the key.
    expect(inside(`read -r key; ${search} >/tmp/seen; grep -acF "$key" /tmp/seen || true`)).toBe('0\n')
    expect(inside('tr "\\\\0" "\\\\n" </proc/1/environ | grep -c AGUI_LAUNCH || true')).toBe('1\n')
    expect(inside('grep -rslaF -f - /run /sandbox /tmp /etc /runner /app/dist /app/wrappers || true')).toBe(
      '',
    )
    const around = [
      ...[engine.docker('inspect', name), engine.docker('logs', name)],
      ...[engine.docker('image', 'inspect', TEST_IMAGE), engine.docker('history', '--no-trunc', TEST_IMAGE)],
      ...argvOfAll(),
      ...[launched.stdout(), launched.stderr()],
      readFileSync(join(bench.directory, `agui-launch-${line.run}`, 'launch.json'), 'utf8'),
    ]
    expect(around.filter((text) => text.includes(KEY))).toEqual([])
    await dispatcher.destroy()
    launched.child.kill('SIGTERM')
    expect(await launched.exited).toBe(0)
  }, 60_000)
}

function argvOfAll(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
      } catch {
        // It has ended meanwhile.
        return ''
      }
    })
}
