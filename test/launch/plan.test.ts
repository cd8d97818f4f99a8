// The invariants of outside.md 2.4, each over random requests.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createArguments, type EngineFacts, networkArguments } from '../../src/launch/arguments.ts'
import { INSIDE, type LaunchPlan, type LaunchRequest, planLaunch } from '../../src/launch/plan.ts'
import { type Machine, processArguments } from '../../src/launch/process-arguments.ts'

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
const folder = fc.array(word, { minLength: 2, maxLength: 4 }).map((parts) => `/data/${parts.join('/')}`)
const amount = fc.integer({ min: 1, max: 2 ** 31 })
const request: fc.Arbitrary<LaunchRequest> = fc.record({
  run: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,40}$/),
  mode: fc.constantFrom('private', 'public'),
  image: fc.constantFrom(
    'agui-runner:0.1.0',
    'ghcr.io/o/agui-runner:1',
    `r.example:5000/a@sha256:${'a'.repeat(64)}`,
  ),
  user: fc.record({ uid: fc.integer({ min: 1, max: 2 ** 31 - 1 }), gid: fc.constantFrom(0, 1000) }),
  workspace: folder,
  guarded: fc.array(
    fc.record({
      path: fc.array(word, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
      access: fc.constantFrom('read', 'write', 'blank', 'hidden'),
    }),
    { maxLength: 4 },
  ),
  startIn: fc.constantFrom('', 'packages/app'),
  gatewayFolder: folder,
  agentFolder: folder,
  forbidden: fc.constant(['/home/me', '/data/engine.sock']),
  environment: fc.dictionary(
    fc.constantFrom('SESSION_ID', 'LLM_MODEL', 'PERMISSION_MODE', 'RUN_TIMEOUT_MS'),
    fc.string({ maxLength: 20 }).filter((text) => !/[\0\r\n]/.test(text)),
  ),
  limits: fc.record({
    memoryBytes: amount,
    pids: amount,
    cpus: amount,
    logBytes: amount,
    stopGraceMs: amount,
  }),
})
const engine: fc.Arbitrary<EngineFacts> = fc.record({
  kind: fc.constantFrom('docker', 'podman'),
  isRootless: fc.boolean(),
})
const LAUNCHER = { pid: 7, started: '1', startedAt: new Date(0) }
const argv = (plan: LaunchPlan, facts: EngineFacts): string[] => createArguments(plan, facts, LAUNCHER)
const DOCKER: EngineFacts = { kind: 'docker', isRootless: false }

const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)

/** Each value behind that option. */
const valuesOf = (args: readonly string[], option: string): string[] =>
  args.flatMap((arg, index) => (arg === option ? [args[index + 1] ?? ''] : []))

function always(property: (request: LaunchRequest, facts: EngineFacts) => void): void {
  fc.assert(fc.property(request, engine, property), { numRuns: 150 })
}

describe('whatever is asked for', () => {
  test('private is no network, and nothing that leads out', () => {
    always((asked, facts) => {
      const plan = planLaunch(asked)
      const args = argv(plan, facts)
      expect(valuesOf(args, '--network')).toEqual([
        asked.mode === 'private' ? 'none' : `agui-runner-${asked.run}`,
      ])
      expect(networkArguments(plan, LAUNCHER) === undefined).toBe(asked.mode === 'private')
      for (const option of [
        '-p',
        '--publish',
        '-P',
        '--dns',
        '--add-host',
        '--privileged',
        '--device',
        '--cap-add',
      ])
        expect(args).not.toContain(option)
    })
  })

  test('the two modes differ in the network and in AGUI_LAUNCH alone', () => {
    always((asked) => {
      const [one, two] = (['private', 'public'] as const).map((mode) => {
        const { network: _network, mode: _mode, environment, ...rest } = planLaunch({ ...asked, mode })
        const { AGUI_LAUNCH, ...others } = environment
        expect(AGUI_LAUNCH).toBe(mode)
        return { ...rest, others }
      })
      expect(one).toEqual(two)
    })
  })

  test('the container is shut', () => {
    always((asked, facts) => {
      const args = argv(planLaunch(asked), facts)
      for (const option of ['--read-only', '--init']) expect(args).toContain(option)
      expect(valuesOf(args, '--cap-drop')).toEqual(['ALL'])
      expect(valuesOf(args, '--security-opt')).toEqual(['no-new-privileges', 'label=disable'])
      expect(valuesOf(args, '--user')).toEqual([`${asked.user.uid}:${asked.user.gid}`])
      expect(valuesOf(args, '--label')).toContain(`agui-runner.run=${asked.run}`)
      for (const option of ['--pids-limit', '--memory', '--stop-timeout'])
        expect(valuesOf(args, option)).toHaveLength(1)
      const tmp = valuesOf(args, '--tmpfs').find((value) => value.startsWith('/tmp:'))
      expect(tmp?.split(':')[1]?.split(',')).toEqual(expect.arrayContaining(['nosuid', 'nodev']))
      expect(valuesOf(args, '--volume')).toEqual(['/sandbox'])
    })
  })

  test('what can be written is the workspace and the folder of the agent’s socket', () => {
    always((asked) => {
      const { mounts } = planLaunch(asked)
      const writable = mounts.filter(({ readOnly }) => !readOnly)
      const ofWorkspace = writable.filter(({ source }) => isBelow(source, asked.workspace))
      expect(writable.filter((mount) => !ofWorkspace.includes(mount)).map(({ target }) => target)).toEqual([
        INSIDE.agent,
      ])
      for (const { source, target } of ofWorkspace)
        expect(target).toBe(`${INSIDE.workspace}${source.slice(asked.workspace.length)}`)
      expect(mounts.find(({ target }) => target === INSIDE.gateway)?.readOnly).toBe(true)
    })
  })

  test('each guarded part is a mount of its own behind the workspace, without its content where that is hidden', () => {
    always((asked) => {
      const { mounts, scratch } = planLaunch(asked)
      const [first, ...others] = mounts
      expect(first).toEqual({ source: asked.workspace, target: INSIDE.workspace, readOnly: false })
      const shown = asked.guarded.filter(({ access }) => access !== 'hidden')
      expect(others.slice(0, shown.length)).toEqual(
        shown.map(({ path, access }) => ({
          source: access === 'blank' ? '/dev/null' : `${asked.workspace}/${path}`,
          target: `${INSIDE.workspace}/${path}`,
          readOnly: access !== 'write',
        })),
      )
      const hidden = asked.guarded.filter(({ access }) => access === 'hidden')
      expect(scratch.slice(1).map(({ target, readOnly }) => [target, readOnly])).toEqual(
        hidden.map(({ path }) => [`${INSIDE.workspace}/${path}`, true]),
      )
    })
  })

  test('equal requests are equal plans and equal arguments, and a plan is JSON', () => {
    always((asked, facts) => {
      const plan = planLaunch(asked)
      const again = planLaunch({
        ...asked,
        environment: Object.fromEntries(Object.entries(asked.environment).reverse()),
      })
      expect(again).toEqual(plan)
      expect(argv(again, facts)).toEqual(argv(plan, facts))
      expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
    })
  })

  test('podman gets what docker gets, but for the log, its image’s name and its users', () => {
    always((asked) => {
      const plan = planLaunch(asked)
      const without = (args: string[]): string[] =>
        args
          .filter((arg) => !/^(json-file|k8s-file|max-file=2|--log-opt)$/.test(arg))
          .map((arg) => arg.replace(/^localhost\//, ''))
      expect(without(argv(plan, { kind: 'podman', isRootless: false }))).toEqual(without(argv(plan, DOCKER)))
      expect(valuesOf(argv(plan, { kind: 'podman', isRootless: true }), '--userns')).toEqual(['keep-id'])
    })
  })
})

describe('no secret goes in', () => {
  test('by a name that is not on the list', () => {
    const secret = fc.constantFrom(
      'ANTHROPIC_AUTH_TOKEN',
      'GITHUB_TOKEN',
      'AWS_SECRET_ACCESS_KEY',
      'AGUI_TOKEN',
      'HTTPS_PROXY',
      'PATH',
      'LD_PRELOAD',
      'NODE_OPTIONS',
    )
    fc.assert(
      fc.property(request, secret, (asked, name) => {
        expect(() => planLaunch({ ...asked, environment: { [name]: 'hidden-value' } })).toThrow(name)
        expect(() => planLaunch({ ...asked, environment: { [name]: 'hidden-value' } })).not.toThrow(
          'hidden-value',
        )
      }),
      { numRuns: 40 },
    )
  })
})

describe('is refused', () => {
  const [good] = fc.sample(request, { numRuns: 1, seed: 1 })
  test.each<[string, Partial<LaunchRequest>]>([
    ['run', { run: '-rf' }],
    ['run', { run: 'a'.repeat(42) }],
    ['image', { image: 'agui-runner' }],
    ['image', { image: 'agui-runner:latest' }],
    ['image', { image: 'r.example:5000/agui-runner' }],
    ['image', { image: '--privileged:1' }],
    ['user', { user: { uid: 0, gid: 0 } }],
    ['workspace', { workspace: '/' }],
    ['workspace', { workspace: '/home/me' }],
    ['workspace', { workspace: '/home' }],
    ['workspace', { workspace: '/data' }],
    ['workspace', { workspace: '/proc/1/root' }],
    ['workspace', { workspace: '/var/run/x' }],
    ['workspace', { workspace: 'relative' }],
    ['workspace', { workspace: '/data/a,readonly=false' }],
    ['workspace', { workspace: '/data/../etc' }],
    ['workspace', { guarded: [{ path: 'sub,readonly=false', access: 'read' }] }],
    ['workspace', { guarded: [{ path: '../above', access: 'write' }] }],
    ['workspace', { guarded: [{ path: '/etc', access: 'write' }] }],
    ['workspace', { startIn: '../above' }],
    ['workspace', { startIn: '/etc' }],
    ['workspace', { startIn: 'a\nb' }],
    ['agentFolder', { agentFolder: '/dev/shm/x' }],
    ['environment', { environment: { LLM_MODEL: 'a\nb' } }],
    ['limits.pids', { limits: { memoryBytes: 1, pids: 0, cpus: 1, logBytes: 1, stopGraceMs: 1 } }],
  ])('%s: %j', (words, change) => {
    if (good === undefined) throw new Error('no sample')
    expect(() => planLaunch({ ...good, ...change })).toThrow(`${words}:`)
  })
})

test('the folder to start in may have a name that no mount could', () => {
  const [good] = fc.sample(request, { numRuns: 1, seed: 1 })
  if (good === undefined) throw new Error('no sample')
  const { environment, mounts } = planLaunch({ ...good, startIn: 'a, "b"' })
  expect(environment['WORKSPACE_PATH']).toBe(`${INSIDE.workspace}/a, "b"`)
  expect(JSON.stringify(mounts)).not.toContain('a, ')
})

describe('a process', () => {
  const MACHINE: Machine = {
    ...{ bwrap: '/usr/bin/bwrap', setpriv: undefined, empty: '/run/x/empty' },
    shown: [
      { source: '/usr', target: '/usr' },
      { source: '/srv/app/dist', target: '/app/dist' },
    ],
    links: [{ target: '/bin', to: 'usr/bin' }],
    descriptors: { filter: 3, info: 4 },
  }
  const started = (
    asked: LaunchRequest,
    machine: Machine = MACHINE,
  ): { plan: LaunchPlan; args: string[] } => {
    const plan = planLaunch({ ...asked, mode: 'private', image: undefined })
    return { plan, args: processArguments(plan, machine) }
  }

  test('has no network, no capability, no other process and an end with its launcher, whoever starts it', () => {
    always((asked) => {
      for (const setpriv of [undefined, '/usr/bin/setpriv']) {
        const { plan, args } = started(asked, { ...MACHINE, setpriv })
        for (const option of [
          '--unshare-net',
          '--unshare-pid',
          '--die-with-parent',
          '--new-session',
          '--clearenv',
        ])
          expect(args).toContain(option)
        expect(valuesOf(args, '--cap-drop')).toEqual(['ALL'])
        expect(args).not.toContain('--share-net')
        const { uid } = plan.user
        if (setpriv === undefined) expect(valuesOf(args, '--uid')).toEqual([String(uid)])
        else
          expect(args.slice(args.indexOf('--') + 1)).toEqual(
            expect.arrayContaining([setpriv, `--reuid=${uid}`, '--bounding-set=-all', '--no-new-privs']),
          )
        expect(args.slice(-plan.command.length)).toEqual(plan.command)
      }
    })
  })

  test('sees of the machine what is shown and the plan’s own folders; it may write the workspace and its socket’s', () => {
    always((asked) => {
      const { plan, args } = started(asked)
      expect(valuesOf(args, '--bind').sort()).toEqual(
        plan.mounts.flatMap(({ source, readOnly }) => (readOnly ? [] : [source])).sort(),
      )
      expect(valuesOf(args, '--ro-bind')).toEqual([
        ...MACHINE.shown.map(({ source }) => source),
        ...plan.mounts.flatMap(({ source, readOnly }) =>
          readOnly ? [source === '/dev/null' ? MACHINE.empty : source] : [],
        ),
      ])
      expect(args).not.toContain('--dev-bind')
      const variables = args.flatMap((arg, index) =>
        arg === '--setenv' ? [[args[index + 1] ?? '', args[index + 2] ?? '']] : [],
      )
      expect(Object.fromEntries(variables)).toEqual({ ...plan.environment, PATH: expect.any(String) })
    })
  })

  test('in public mode is refused', () => {
    always((asked) => {
      expect(() => planLaunch({ ...asked, mode: 'public', image: undefined })).toThrow(
        /no network of its own/,
      )
    })
  })
})
