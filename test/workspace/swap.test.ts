// A folder that is swapped for a link to outside, and back, as fast as a process can, while the workspace is written,
// read, emptied and listed: nothing outside ever changes or is given out.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { removeTree } from '../../src/workspace/tree.ts'
import { VOLUME } from '../support/volume.ts'
import { NO_SIGNAL, openPlace, type Place } from './place.ts'

/** Swaps `d` between a folder and a link to argv[1], for ever; tells its count when asked. */
const SWAPPER = `
const fs = require('fs')
process.chdir(process.argv[1])
let swaps = 0
const linger = () => {
  const end = process.hrtime.bigint() + BigInt(Math.floor(Math.random() * 2_000_000))
  while (process.hrtime.bigint() < end);
}
const attempt = (work) => { try { work() } catch {} }
fs.symlinkSync(process.argv[2], 'link')
const swap = () => {
  for (let i = 0; i < 10; i++) {
    attempt(() => fs.mkdirSync('kept'))
    if (!fs.existsSync('kept/victim.txt')) attempt(() => fs.writeFileSync('kept/victim.txt', 'inside'))
    attempt(() => fs.renameSync('kept', 'd'))
    linger()
    attempt(() => fs.renameSync('d', 'kept'))
    attempt(() => fs.rmSync('d', { recursive: true }))
    attempt(() => { fs.renameSync('link', 'd'); swaps++ })
    linger()
    attempt(() => fs.renameSync('d', 'link'))
    if (!fs.existsSync('link')) attempt(() => fs.symlinkSync(process.argv[2], 'link'))
  }
  process.stdout.write(swaps + '\\n')
  setImmediate(swap)
}
swap()
`
const TURNS = 60 * VOLUME

let place: Place

beforeEach(async () => {
  place = await openPlace()
  writeFileSync(join(place.outside, 'victim.txt'), 'OUTSIDE')
  mkdirSync(join(place.outside, 'sub'))
  writeFileSync(join(place.outside, 'sub/victim.txt'), 'OUTSIDE')
})
afterEach(() => place.close())

/** Goes on until it is over, or for a number of turns. */
async function whileSwapping(
  turn: (n: number) => Promise<unknown>,
  isOver?: () => boolean,
): Promise<Record<string, number>> {
  const swapper = spawn(process.execPath, ['-e', SWAPPER, place.workspace, place.outside], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(swapper, 'exit')
  const outcomes: Record<string, number> = {}
  const count = (what: string): void => {
    outcomes[what] = (outcomes[what] ?? 0) + 1
  }
  try {
    let swaps = 0
    const lines = createInterface({ input: swapper.stdout })
    const first = once(lines, 'line')
    lines.on('line', (line) => {
      swaps = Number(line)
    })
    await first
    const before = swaps
    for (let n = 0; isOver === undefined ? n < TURNS || swaps === before : !isOver(); n++) {
      await turn(n).then(
        () => count('done'),
        (error: { code?: string }) => count(error.code ?? String(error)),
      )
    }
    if (isOver === undefined) expect(swaps).toBeGreaterThan(before)
  } finally {
    swapper.kill('SIGKILL')
    await exited
  }
  return outcomes
}

function expectOutsideUntouched(): void {
  expect(readdirSync(place.outside).sort()).toEqual(['sub', 'victim.txt'])
  expect(readFileSync(join(place.outside, 'victim.txt'), 'utf8')).toBe('OUTSIDE')
  expect(readFileSync(join(place.outside, 'sub/victim.txt'), 'utf8')).toBe('OUTSIDE')
}

test('the attack is real: what checks a path and then uses it is led outside', async () => {
  const naive = async (): Promise<void> => {
    const path = join(place.workspace, 'd/victim.txt')
    if (!(await realpath(path)).startsWith(place.workspace)) throw new Error('refused')
    await writeFile(path, 'attack')
  }
  await whileSwapping(naive, () => readFileSync(join(place.outside, 'victim.txt'), 'utf8') !== 'OUTSIDE')
  expect(readFileSync(join(place.outside, 'victim.txt'), 'utf8')).toBe('attack')
})

test('writing never lands outside', async () => {
  const outcomes = await whileSwapping((n) =>
    place.files.write(n % 2 === 0 ? 'd/victim.txt' : `d/new-${n}.txt`, [Buffer.from('attack')], {
      bytesMax: 100,
      signal: NO_SIGNAL,
    }),
  )
  expectOutsideUntouched()
  expect(outcomes['done'], JSON.stringify(outcomes)).toBeGreaterThan(0)
  expect(outcomes['path_outside_workspace'], JSON.stringify(outcomes)).toBeGreaterThan(0)
})

test('reading never gives out what is outside', async () => {
  const seen = new Set<string>()
  await whileSwapping(async () => {
    const { stream } = await place.files.read('d/victim.txt')
    for await (const chunk of stream) seen.add(String(chunk))
  })
  expect([...seen]).toEqual(['inside'])
})

test('deleting never removes what is outside', async () => {
  await whileSwapping(() => place.files.remove('d/victim.txt'))
  expectOutsideUntouched()
})

test('removing a whole folder never empties the one outside', async () => {
  await whileSwapping(async () => {
    const root = await place.guard.openFolder(await place.guard.resolve(''))
    await root.use(() => removeTree(root, 'd', { signal: NO_SIGNAL }))
  })
  expectOutsideUntouched()
})

test('listing never tells the names outside', async () => {
  const names = new Set<string>()
  await whileSwapping(async () => {
    for (const { name } of (await place.files.list('d')).entries) names.add(name)
  })
  expect(names).not.toContain('sub')
})
