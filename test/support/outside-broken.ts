// What breaks around a launch: the broker, the launcher at any of its steps, the disk.
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ALL_CONTAINERS } from './containers.ts'
import { DOCKER, TEST_IMAGE } from './engine.ts'
import type { OneOffProcess } from './one-off.ts'
import { KEY, type Outside } from './outside.ts'
import { createRandom } from './random.ts'
import { SmallDisk } from './small-disk.ts'

/** Of the 20 and more there are; all with AGUI_KILL_POINTS=all. */
const POINTS = process.env['AGUI_KILL_POINTS'] === 'all' ? Number.POSITIVE_INFINITY : 1
const SEED = Number(process.env['AGUI_SEED'] ?? Date.now())
const MOMENTS = ['before', 'during', 'after'] as const
/** An engine's commands of one private run, from `info` to `rm`. */
const COMMANDS = 7

interface Point {
  at: number
  moment: (typeof MOMENTS)[number]
}

/** In docker's place: at its N-th command it kills who has called it, and says when nothing more comes of it. */
const shim = (folder: string, { at, moment }: Point): string => `#!/bin/sh
count=$(($(cat ${folder}/count 2>/dev/null || echo 0) + 1))
echo $count >${folder}/count
[ $count = ${at} ] || exec ${DOCKER} "$@"
case ${moment} in
  before) kill -9 $PPID ;;
  during) ${DOCKER} "$@" >/dev/null 2>&1 & kill -9 $PPID; [ "$1" = wait ] || wait ;;
  after) [ "$1" = wait ] || ${DOCKER} "$@" >/dev/null 2>&1; kill -9 $PPID ;;
esac
echo "$1" >${folder}/killed
`

/** A started `agui-runner gateway`: ready, with its control socket and secret. */
async function startGateway(
  { start }: Outside,
  directory: string,
): Promise<{ process: OneOffProcess; args: string[] }> {
  mkdirSync(directory)
  const [control, secret] = [join(directory, 'c'), join(directory, 'secret')]
  const process = start(['--control', control, '--secret-file', secret], { command: 'gateway' })
  await process.has('stdout', 'ready')
  return { process, args: ['--gateway', control, '--gateway-secret', secret] }
}

async function untilThere(file: string): Promise<void> {
  const watcher = watch(join(file, '..'))
  while (!existsSync(file)) await once(watcher, 'change')
  watcher.close()
}

export function brokenCases(outside: () => Outside): void {
  test.runIf(ALL_CONTAINERS)(
    'a gateway of its own has the key; killed in mid-run it ends the run, and nothing is left',
    async () => {
      const { start, bench } = outside()
      const gateway = await startGateway(outside(), join(bench.directory, 'gw'))
      // This process and its container have no way to a model but that one.
      const none = { ANTHROPIC_API_KEY: '', ANTHROPIC_BASE_URL: '' }
      const run = start([...gateway.args, '--workspace', 'none', '-p', 'slow'], { env: none })
      await run.has('stdout', 'one')
      gateway.process.child.kill('SIGKILL')
      expect(await run.exited).toBe(3)
      expect(run.stderr()).toMatch(/model_unreachable: /)
      expect(run.stderr()).toMatch(/the session was not ended with the broker/)
      const late = await outside().run([...gateway.args, '--workspace', 'none', '-p', 'x'], { env: none })
      expect(late).toMatchObject({ code: 6, stderr: expect.stringMatching(/The gateway at .*ECONNREFUSED/) })
    },
    60_000,
  )

  test.runIf(ALL_CONTAINERS)(
    `killed at any step (seed ${SEED}): sweep leaves nothing, and no file had the key`,
    async () => {
      const { start, run, bench, engine, left } = outside()
      const random = createRandom(SEED)
      const all = Array.from({ length: COMMANDS }, (_, index) =>
        MOMENTS.map((moment): Point => ({ at: index + 1, moment })),
      ).flat()
      const points =
        POINTS >= all.length
          ? all
          : Array.from({ length: POINTS }, () => all.splice(random(all.length), 1)).flat()
      // What has no label of ours is somebody else's.
      engine.docker('create', '--name', 'bystander', '--network', 'none', TEST_IMAGE, 'sh')
      for (const [index, point] of points.entries()) {
        const folder = join(bench.directory, `shim-${index}`)
        mkdirSync(folder)
        writeFileSync(join(folder, 'docker'), shim(folder, point))
        chmodSync(join(folder, 'docker'), 0o755)
        const killed = start(['--workspace', 'none', '-p', 'hello'], {
          env: { PATH: `${folder}:${process.env['PATH']}` },
        })
        expect([point, await killed.exited]).toEqual([point, 'SIGKILL'])
        await untilThere(join(folder, 'killed'))
        for (const name of engine.docker('ps', '--all', '--format', '{{.Names}}').split('\n'))
          if (name !== '') expect(engine.docker('inspect', name)).not.toContain(KEY)
        for (const name of readdirSync(bench.directory).filter((one) => one.startsWith('agui-launch-')))
          expect(filesBelow(join(bench.directory, name)).filter(({ text }) => text.includes(KEY))).toEqual([])
        const swept = await run([], { command: 'sweep' })
        expect(swept).toMatchObject({ code: 0, stdout: expect.not.stringContaining('bystander') })
        expect(engine.docker('ps', '--all', '--format', '{{.Names}}')).toBe('bystander')
      }
      engine.docker('rm', '--volumes', 'bystander')
      expect(left()).toEqual([])
    },
    300_000,
  )

  test('a full disk is said, and nothing is left on it', async () => {
    const { bench, run } = outside()
    const folder = join(bench.directory, 'full')
    const disk = SmallDisk.mount('tmpfs', folder, 1024 * 1024)
    try {
      disk.fill()
      const full = await run(['--workspace', 'none', '-p', 'hello'], { env: { TMPDIR: folder } })
      expect(full).toMatchObject({ code: 6, stderr: expect.stringMatching(/cannot be made: ENOSPC/) })
      expect(readdirSync(folder).filter((name) => name.startsWith('agui-launch-'))).toEqual([])
    } finally {
      disk.unmount()
    }
  })
}

function filesBelow(folder: string): { file: string; text: string }[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => ({ file, text: readFileSync(file, 'latin1') }))
}
