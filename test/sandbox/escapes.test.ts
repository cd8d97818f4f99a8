// What a tool call may try, made inside the sandbox by a runner that is root and by one that is not; and once
// without any sandbox, so that it shows which attempts the sandbox is what stops.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ATTEMPTS, type Attempt, CONTROLS } from './escape-attempts.ts'
import { type Canaries, ORDINARY_USER, openCanaries, runTrial, type TrialResult } from './escape-bench.ts'
import { missingNeed } from './needs.ts'

const TRIAL_MS_MAX = 180_000
/** Without a sandbox at least this many get through here; the rest an ordinary user cannot do anyway. */
const CONTROL_MIN = 90

const ALL: readonly Attempt[] = [...ATTEMPTS, ...CONTROLS]
const reason = missingNeed(['/usr/bin/python3', '/usr/bin/curl', '/usr/bin/git'])
const isRoot = process.getuid?.() === 0

test('there are at least 60 attempts, each with a name of its own', () => {
  expect(ATTEMPTS.length).toBeGreaterThanOrEqual(60)
  expect(new Set(ALL.map(({ id }) => id)).size).toBe(ALL.length)
})

describe.skipIf(reason !== undefined)(`escapes (${reason ?? 'bubblewrap is here'})`, () => {
  let canaries: Canaries

  beforeAll(async () => {
    canaries = await openCanaries()
  })
  afterAll(() => canaries.close())

  describe.each([
    {
      runner: 'a runner that is an ordinary user',
      uid: isRoot ? ORDINARY_USER : (process.getuid?.() ?? 0),
      under: '/tmp',
    },
    ...(isRoot ? [{ runner: 'a runner that is root', uid: 0, under: '/var/tmp' }] : []),
  ])('$runner', ({ uid, under }) => {
    let result: TrialResult

    beforeAll(async () => {
      result = await runTrial(ALL, canaries, { uid, under, isBare: false })
    }, TRIAL_MS_MAX)

    test.each(ATTEMPTS.filter(({ expect: wanted }) => wanted !== 'allowed'))(
      '$id is blocked ($by): $what',
      ({ id }) => {
        expect(result.outcomes[id]).toMatchObject({ reached: false })
      },
    )

    test.each(ATTEMPTS.filter(({ expect: wanted }) => wanted === 'allowed'))(
      '$id passes, by the $by: $what',
      ({ id }) => {
        expect(result.outcomes[id]).toMatchObject({ reached: true })
      },
    )

    test.each(CONTROLS)('$id works: $what', ({ id }) => {
      expect(result.outcomes[id]).toMatchObject({ reached: true })
    })

    test('every refusal was counted and told to the owner of the process', () => {
      expect(result.denials.denied).toBeGreaterThan(30)
      expect(result.denials.told).toBe(result.denials.denied)
      expect(result.denials.allowed).toBeGreaterThan(5)
    })
  })

  describe('without a sandbox', () => {
    let result: TrialResult
    const attempts = ATTEMPTS.filter(({ hasNoControl }) => hasNoControl !== true)

    beforeAll(async () => {
      const uid = isRoot ? ORDINARY_USER : (process.getuid?.() ?? 0)
      result = await runTrial(attempts, canaries, { uid, under: '/tmp', isBare: true })
    }, TRIAL_MS_MAX)

    test('most attempts get through, so that being blocked means something', () => {
      const through = attempts.filter(({ id }) => result.outcomes[id]?.reached === true)
      expect(through.length).toBeGreaterThanOrEqual(CONTROL_MIN)
    })

    test.each([
      'mount view',
      'PID namespace',
      'network namespace',
      'seccomp',
      'no_new_privs',
      'proxy: hosts',
      'proxy: addresses',
      'proxy: requests',
      'proxy: binaries',
    ])('some of what we say is blocked by %s gets through', (by) => {
      const through = attempts.filter(
        (attempt) => attempt.by === by && result.outcomes[attempt.id]?.reached === true,
      )
      expect(through).not.toEqual([])
    })
  })
})
