import { expect, test } from 'vitest'
import { runPropsOf } from '../../src/thread/run-props.ts'

const input = { threadId: 't', runId: 'r', messages: [], tools: [], context: [] }

test.each([
  [{ delivery: 'queue' }, { delivery: 'queue' }],
  [{ delivery: 'steer', onDisconnect: null, replaces: null, other: null }, { delivery: 'steer' }],
  [
    { onDisconnect: 'interrupt', replaces: 'm1' },
    { onDisconnect: 'interrupt', replaces: 'm1' },
  ],
  [{ delivery: null }, {}],
  [{}, {}],
  ['queue', {}],
  [['queue'], {}],
  [null, {}],
  [undefined, {}],
])('forwardedProps %j ask for %j', (forwardedProps, asked) => {
  expect(runPropsOf({ ...input, forwardedProps })).toEqual(asked)
})

test.each([{ delivery: 'now' }, { onDisconnect: 'stop' }, { replaces: 7 }])(
  '%j asks for nothing that there is',
  (props) => {
    expect(() => runPropsOf({ ...input, forwardedProps: props })).toThrow(
      `forwardedProps.${Object.keys(props)}: `,
    )
  },
)
