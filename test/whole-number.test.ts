// A number that is none, at every door that takes one in a text.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadConfig, VARIABLES } from '../src/config.ts'
import { parsePlace } from '../src/storage/redis/redis-place.ts'
import { bodyOf, run, runInput } from './support/client.ts'
import { openScriptedRunner, type ScriptedRunner } from './support/scripted-runner.ts'

let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner({ script: { rules: [{ reply: 'Hi.' }] } })
  await run(runner.url, runInput('t', 'hello'))
})
afterAll(() => runner.close())

const NONE = [
  '0x1',
  '1e3',
  '+1',
  ' 1',
  '1 ',
  '01',
  '1.0',
  '1.5',
  '-0',
  '١',
  'NaN',
  'Infinity',
  '9007199254740993',
]

test.each([...NONE, '-2'])('%j is no number in a path and a query', async (text) => {
  const sent = encodeURIComponent(text)
  for (const [path, field] of [
    [`/sessions/t/messages/x/parts/${sent}`, 'index'],
    [`/sessions/t/events?follow=false&after=${sent}`, 'after'],
  ]) {
    const answer = await fetch(`${runner.url}${path}`)
    const { error } = await bodyOf(answer)
    expect([path, answer.status, error.code, error.message]).toEqual([
      path,
      400,
      'invalid_input',
      expect.stringContaining(`${field}: must be a whole number`),
    ])
  }
})

test.each(['0x1', '1e3', '+1', '01', '1, 2'])('%j is no number in a header', async (text) => {
  const answer = await fetch(`${runner.url}/sessions/t/events`, { headers: { 'last-event-id': text } })
  expect([answer.status, (await bodyOf(answer))['error'].message]).toEqual([
    400,
    expect.stringContaining('last-event-id: must be a whole number'),
  ])
})

test.each([
  '/sessions/t/messages/x/parts/',
  '/sessions/t/events?after=',
  '/sessions/t/events?after=1&after=2',
])('nothing, or several, is no number: %s', async (path) => {
  const answer = await fetch(`${runner.url}${path}`)
  expect([answer.status, (await bodyOf(answer))['error'].code]).toEqual([400, 'invalid_input'])
})

test('an empty Last-Event-ID is none', async () => {
  const answer = await fetch(`${runner.url}/sessions/t/events?follow=false&after=2`, {
    headers: { 'last-event-id': '' },
  })
  expect((await answer.text()).startsWith('id: 1\n')).toBe(false)
})

test.each(NONE)('%j is no number in the environment', (text) => {
  const load = (name: string) =>
    loadConfig({ HOME: '/home/x', [name]: text }, { appDirectory: '/app', workingDirectory: '/work' })
  for (const name of ['AGUI_PORT', 'QUEUE_MAX', 'CLAUDE_CONNECT_RETRY_DELAY'])
    expect(() => load(name)).toThrow(`${name}: must be a whole number`)
  expect(() => parsePlace(`redis://host?waitReplicas=${encodeURIComponent(text)}`)).toThrow('EVENT_LOG_URL')
})

// Node's timers fire at once when they are given more than 31 bits: what was to last for weeks would not last at all.
test('a duration is no longer than a timer lasts, and an age no longer than the clock goes back', () => {
  const durations = VARIABLES.filter((name) => /_MS$|_INTERVAL$/.test(name))
  expect(durations.length).toBeGreaterThan(15)
  const defaults = { appDirectory: '/app', workingDirectory: '/work' }
  const load = (name: string, value: number) =>
    loadConfig({ HOME: '/home/x', EVENT_LOG_URL: 'redis://host', [name]: String(value) }, defaults)
  for (const name of durations)
    expect(() => load(name, 1e13), name).toThrow(`${name}: must be a whole number`)
  const isAge = (name: string): boolean => ['INTERRUPT_EXPIRES_MS', 'LOG_RETENTION_MS'].includes(name)
  for (const name of durations.filter((each) => !isAge(each)))
    expect(() => load(name, 2 ** 31), name).toThrow(`${name}: must be a whole number`)
})
