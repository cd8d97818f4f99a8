import { expect, test } from 'vitest'
import { loadConfig } from '../src/config.ts'

const originsOf = (AGUI_ALLOWED_ORIGINS: string): readonly string[] =>
  loadConfig({ HOME: '/home/x', AGUI_ALLOWED_ORIGINS }, { appDirectory: '/app', workingDirectory: '/work' })
    .allowedOrigins

test.each([
  ['https://app.example', 'https://app.example'],
  ['HTTPS://App.Example/', 'https://app.example'],
  ['https://app.example:443', 'https://app.example'],
  ['http://app.example:80/', 'http://app.example'],
  ['http://app.example:443', 'http://app.example:443'],
  ['http://[::1]:3000', 'http://[::1]:3000'],
  ['https://bücher.example', 'https://xn--bcher-kva.example'],
  ['chrome-extension://abcdefghijklmnop', 'chrome-extension://abcdefghijklmnop'],
  ['tauri://localhost', 'tauri://localhost'],
])('%s is the origin %s', (written, origin) => {
  expect(originsOf(written)).toEqual([origin])
})

test.each([
  ...[
    'null',
    'NULL',
    '*',
    'app.example',
    'app.example:3000',
    '//app.example',
    'https:',
    'https://',
    'https:/app.example',
  ],
  ...[
    'https://*.example',
    'https://app.example/page',
    'https://app.example//',
    'https://app.example?x',
    'https://app.example#x',
  ],
  ...[
    'https://me@app.example',
    'https://app.example:99999',
    'https://app.example:x',
    'https://app exam.ple',
    'https://app.example\\x',
  ],
  ...[
    'ws://app.example',
    'file://',
    'file:///page',
    'data:text/html',
    'blob:https://app.example',
    'tauri://localhost/',
  ],
])('%s is none, and said at the start', (written) => {
  expect(() => originsOf(`https://right.example, ${written}`)).toThrow(
    /AGUI_ALLOWED_ORIGINS: must be origins/,
  )
})

// A request shows the token in a header, where these cannot stand or are cut off: every request would be refused.
test.each([' ', ' first', 'last ', 'with-a-newline\n', 'two\nlines', 'tab\t', 'schlüssel'])(
  '%j is no token',
  (AGUI_TOKEN) => {
    const load = () =>
      loadConfig({ HOME: '/home/x', AGUI_TOKEN }, { appDirectory: '/app', workingDirectory: '/work' })
    expect(load).toThrow('AGUI_TOKEN: must be ASCII characters on one line')
  },
)

test.each([
  ['[::1]', '::1'],
  ['::1', '::1'],
  ['127.0.0.1', '127.0.0.1'],
])('the host %s is listened at as %s, and needs no token', (AGUI_HOST, host) => {
  const config = loadConfig(
    { HOME: '/home/x', AGUI_HOST },
    { appDirectory: '/app', workingDirectory: '/work' },
  )
  expect(config.host).toBe(host)
})
