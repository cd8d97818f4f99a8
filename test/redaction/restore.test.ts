import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { FAKE_JWT, FAKE_TOKENS, FAKE_VALUES } from './fake-secrets.ts'

const { restore, redactText, redactValue } = createRedactor({ values: Object.values(FAKE_VALUES) })

const secrets = fc.constantFrom(...Object.values(FAKE_VALUES), ...FAKE_TOKENS.map(({ text }) => text))
const text = fc.array(fc.oneof(secrets, fc.constantFrom(' ', '\n', '"', '[redacted]', 'words')), {
  maxLength: 5,
})
const input = fc.dictionary(
  fc.constantFrom('command', 'content', 'edits', 'SecretAccessKey'),
  fc.oneof(
    text.map((parts) => parts.join(' ')),
    fc.array(fc.record({ old_string: text.map((parts) => parts.join(' ')) }), { maxLength: 3 }),
  ),
)

test('what comes back as it was shown is the original, taken string by string or of the JSON text', () => {
  fc.assert(
    fc.property(input, (original) => {
      const forms = [redactValue(original), JSON.parse(redactText(JSON.stringify(original))), original]
      for (const sent of forms) expect(restore(sent, { original, name: 'args' })).toEqual(original)
    }),
    { numRuns: 500 },
  )
})

const original = {
  command: `curl -H "Authorization: ${FAKE_JWT}"`,
  note: 'see [redacted]',
  list: [{ a: FAKE_JWT }],
}

test.each([
  [{ command: 'curl -H "Authorization: [redacted]" -v' }, 'args.command'],
  [{ note: '[redacted]' }, 'args.note'],
  [{ list: [{ a: 'x' }, { a: '[redacted]' }] }, 'args.list.1.a'],
  [{ list: { toString: '[redacted]' } }, 'args.list.toString'],
  [{ new: { '[redacted]': 1 } }, 'A key of args.new'],
])('a marker that stands for nothing known is refused: %j', (sent, place) => {
  expect(() => restore(sent, { original, name: 'args' })).toThrow(`${place} holds [redacted]`)
})

test('what was hidden from nobody may hold the marker, and an original may', () => {
  expect(restore({ a: '[redacted]!' }, { original: { a: 'x' }, name: 'args' })).toEqual({ a: '[redacted]!' })
  expect(restore({ note: 'see [redacted]' }, { original, name: 'args' })).toEqual({ note: 'see [redacted]' })
})

test('arguments made to overflow the stack are refused', () => {
  let deep: unknown = '[redacted]'
  for (let depth = 0; depth < 100_000; depth++) deep = [deep]
  expect(() => restore({ deep }, { original, name: 'args' })).toThrow('too deep')
})
