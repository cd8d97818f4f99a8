import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTaskOutput, type TaskOutputPlaces } from '../../src/claude/task-output.ts'
import { openPlace, type Place } from '../workspace/place.ts'

const SESSION = '6f047fdf-8a56-4195-ac6e-fa21269faf84'
const OTHER = '11111111-8a56-4195-ac6e-fa21269faf84'

let place: Place
let places: TaskOutputPlaces

beforeEach(async () => {
  place = await openPlace()
  const uid = process.getuid?.() ?? -1
  places = { temporary: join(place.directory, 'claude'), transcripts: join(place.directory, 'projects'), uid }
  for (const session of [SESSION, OTHER]) {
    mkdirSync(join(places.temporary, '-work', session, 'tasks'), { recursive: true })
    mkdirSync(join(places.transcripts, '-work', session, 'subagents'), { recursive: true })
    writeFileSync(output('bash1', session), `said in ${session}`)
    writeFileSync(transcript('agent1', session), `{"in":"${session}"}`)
  }
})
afterEach(() => place.close())

const output = (id: string, session = SESSION): string =>
  join(places.temporary, '-work', session, 'tasks', `${id}.output`)
const transcript = (id: string, session = SESSION): string =>
  join(places.transcripts, '-work', session, 'subagents', `agent-${id}.jsonl`)

async function read(taskId: string): Promise<string> {
  const { stream } = await openTaskOutput(places, { taskId, claudeSessionId: SESSION })
  return Buffer.concat(await stream.toArray()).toString()
}

test("a command's output is found by its exact name in its own session", async () => {
  expect(await read('bash1')).toBe(`said in ${SESSION}`)
  await expect(read('bash')).rejects.toMatchObject({ code: 'not_found' })
  await expect(read('none')).rejects.toMatchObject({ code: 'not_found' })
})

test("a subagent's output is the transcript that it is a link to", async () => {
  symlinkSync(transcript('agent1'), output('agent1'))
  expect(await read('agent1')).toBe(`{"in":"${SESSION}"}`)
})

describe('not given out is', () => {
  const REFUSED = { code: 'output_not_allowed' }

  test("another session's output", async () => {
    symlinkSync(transcript('agent1', OTHER), output('agent1'))
    await expect(read('agent1')).rejects.toMatchObject(REFUSED)
  })

  test("another task's transcript of the same session", async () => {
    symlinkSync(transcript('agent1'), output('agent2'))
    await expect(read('agent2')).rejects.toMatchObject(REFUSED)
  })

  test('a file elsewhere, by a link or through one', async () => {
    symlinkSync('/etc/passwd', output('link'))
    await expect(read('link')).rejects.toMatchObject(REFUSED)
    mkdirSync(join(place.outside, SESSION, 'tasks'), { recursive: true })
    writeFileSync(join(place.outside, SESSION, 'tasks/deep.output'), 'secret')
    symlinkSync(place.outside, join(places.temporary, 'way'))
    await expect(read('deep')).rejects.toMatchObject({ code: 'not_found' })
  })

  test('anything from a folder that somebody else has made', async () => {
    places = { ...places, uid: places.uid + 1 }
    await expect(read('bash1')).rejects.toMatchObject({ code: 'not_found' })
  })
})
