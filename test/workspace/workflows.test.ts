import { afterEach, beforeEach, expect, test } from 'vitest'
import { Git } from '../../src/workspace/git.ts'
import { Repositories } from '../../src/workspace/repositories.ts'
import { Workflows } from '../../src/workspace/workflows.ts'
import { type GitServer, startGitServer } from '../support/git-server.ts'
import { NO_SIGNAL, openPlace, type Place } from './place.ts'

const PASSWORD = 'secret-of-the-workflow-test'
const REQUEST = { tokens: { github: undefined, gitlab: undefined }, signal: NO_SIGNAL }

let place: Place
let server: GitServer
let saved: string | undefined

beforeEach(async () => {
  place = await openPlace()
  server = await startGitServer({ password: PASSWORD })
  saved = undefined
})
afterEach(async () => {
  await server.close()
  place.close()
})

function open(): Workflows {
  const protocols = ['http'] as const
  const git = new Git({ env: { PATH: process.env['PATH'] }, protocols, timeoutMs: 20_000 })
  const repositories = new Repositories({ git, files: place.files, tokenHosts: { github: [], gitlab: [] } })
  const memory = {
    saved: saved === undefined ? undefined : JSON.parse(saved),
    save: async (value: unknown) => {
      saved = JSON.stringify(value)
    },
  }
  return new Workflows({ repositories, files: place.files, protocols, memory })
}

const choiceOf = (name: string) => ({
  gitUrl: `${server.url.replace('://', `://user:${PASSWORD}@`)}/${name}.git`,
  branch: 'main',
  path: '',
})

test('what is kept of a choice has no credentials, and is the same choice as the one with them', async () => {
  server.addRepository('flow', { main: { '.ambient/ambient.json': '{"startupPrompt":" go \\n"}' } })
  const workflows = open()
  expect(await workflows.change(choiceOf('flow'), REQUEST)).toBe(true)
  expect(workflows.active).toMatchObject({ gitUrl: `${server.url}/flow.git`, startupPrompt: 'go' })
  expect(saved).not.toContain(PASSWORD)
  expect(await workflows.change(choiceOf('flow'), REQUEST)).toBe(false)
  const again = open()
  expect(again.active).toEqual(workflows.active)
  expect(again.isActive(choiceOf('flow'))).toBe(true)
})

test.each([
  ['too large', `{"systemPrompt":"${'x'.repeat(300_000)}"}`, 'too large'],
  ['no JSON', '{"systemPrompt":', 'not a JSON object'],
  ['a list', '["systemPrompt"]', 'not a JSON object'],
])(
  'an ambient.json that is %s is told of, and the workflow is active without it',
  async (_what, text, problem) => {
    server.addRepository('flow', { main: { '.ambient/ambient.json': text } })
    const workflows = open()
    expect(await workflows.start(choiceOf('flow'), REQUEST)).toEqual([expect.stringContaining(problem)])
    expect(workflows.active).toMatchObject({ name: 'flow' })
    expect(workflows.active?.systemPrompt).toBeUndefined()
  },
)

test('words of another kind than text are none', async () => {
  server.addRepository('flow', {
    main: { '.ambient/ambient.json': '{"startupPrompt":7,"systemPrompt":"be kind"}' },
  })
  const workflows = open()
  expect(await workflows.start(choiceOf('flow'), REQUEST)).toEqual([])
  expect(workflows.active).toMatchObject({ systemPrompt: 'be kind' })
  expect(workflows.active?.startupPrompt).toBeUndefined()
})

test('stored rubbish is as if nothing was chosen, and the next start says so once', async () => {
  saved = '{"active":{"gitUrl":7}}'
  const workflows = open()
  expect(workflows.active).toBeUndefined()
  expect(await workflows.start(undefined, REQUEST)).toEqual([
    expect.stringContaining('not what this version writes'),
  ])
  expect(await workflows.start(undefined, REQUEST)).toEqual([])
})
