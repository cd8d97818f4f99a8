// What Claude Code 2.1.329 and 2.1.332 did with these, measured with real sockets in a network namespace.
const P = 'http://127.0.0.1:3128'
const API = 'https://api.corp.example'

export interface NoProxyRow {
  noProxy: string
  url: string
  isDirect: boolean
}

const rows = (url: string, isDirect: boolean, entries: readonly string[]): NoProxyRow[] =>
  entries.map((noProxy) => ({ noProxy, url, isDirect }))

export const NO_PROXY_ROWS: readonly NoProxyRow[] = [
  // A name covers its subdomains; so do the forms with a dot or a star before it, which cover the name itself too.
  ...rows(API, true, [
    'corp.example',
    '.corp.example',
    '*.corp.example',
    'api.corp.example',
    'API.Corp.Example',
  ]),
  ...rows(API, true, ['example', '*.example', 'corp.example.', '.corp.example.', '[api.corp.example]']),
  ...rows('https://corp.example', true, ['corp.example', '.corp.example', '*.corp.example']),
  ...rows(API, false, ['rp.example', '*corp.example', '..corp.example', '*..corp.example', 'corp.example..']),
  ...rows(API, false, ['api.*', '*.*', '.*', '**', '*.', '.', '*.*.example', '', ',,']),
  ...rows(API, false, ['https://api.corp.example', 'api.corp.example/', 'user@corp.example', '<local>']),
  // Commas and blanks part.
  ...rows(API, true, [
    '*',
    'x,*',
    '* ',
    'a.b , corp.example',
    'a.b corp.example',
    'a\tcorp.example',
    'x\ncorp.example',
  ]),
  ...rows(API, true, ['x\rcorp.example']),
  ...rows(API, false, [
    'a;corp.example',
    '\u00a0corp.example',
    'x\fcorp.example',
    'x\vcorp.example',
    'x\u2003corp.example',
  ]),
  // Ports.
  ...rows(API, true, ['corp.example:443', '.corp.example:443', '*.corp.example:443', 'corp.example:0443']),
  ...rows(API, false, ['api.corp.example:80', 'corp.example:abc', 'corp.example:', 'corp.example:*']),
  ...rows(API, false, [':443', '*:443', 'corp.example:443:443', 'corp.example:99999']),
  ...rows('https://api.corp.example:8443', true, [
    'api.corp.example:8443',
    'api.corp.example',
    'corp.example:8443',
  ]),
  ...rows('http://api.corp.example:8080', true, ['api.corp.example', 'corp.example:8080']),
  // Addresses, which no name stands for.
  ...rows('http://127.0.0.1:8080', true, [
    '127.0.0.1',
    '127.0.0.1:8080',
    '[127.0.0.1]',
    '[127.0.0.1]:8080',
    '127.0.0.1.',
  ]),
  ...rows('http://127.0.0.1:8080', true, ['::ffff:127.0.0.1', '::FFFF:7F00:1']),
  ...rows('http://127.0.0.1:8080', false, ['localhost', '127.*', '127.', '.0.0.1', '0.0.1', '1', '*:8080']),
  ...rows('http://127.0.0.1:8080', false, ['127.1', '2130706433', '0x7f.0.0.1', '127.000.000.001']),
  ...rows('http://localhost:8080', true, ['localhost', 'localhost:8080']),
  ...rows('http://localhost:8080', false, ['127.0.0.1', '127.0.0.0/8', '::1']),
  ...rows('http://[::1]:8080', true, ['::1', '[::1]', '[::1]:8080', '0:0:0:0:0:0:0:1', '0::1', '::0001']),
  ...rows('http://[::1]:8080', true, ['[0:0:0:0:0:0:0:1]:8080']),
  ...rows('http://[::1]:8080', false, [
    '::1:8080',
    '[::1]:80',
    '[::1]:',
    '::1%lo',
    '127.0.0.1',
    'localhost',
    '[*]:8080',
  ]),
  ...rows('http://[::ffff:127.0.0.1]:8080', true, ['127.0.0.1', '::ffff:127.0.0.1', '::ffff:7f00:1']),
  // Ranges.
  ...rows('http://127.0.0.1:8080', true, [
    '127.0.0.0/8',
    '127.0.0.1/32',
    '0.0.0.0/0',
    '::ffff:127.0.0.0/104',
  ]),
  ...rows('http://127.0.0.1:8080', false, [
    '10.0.0.0/8',
    '::/0',
    '127.0.0.0/8:8080',
    '127.0.0.0/-1',
    '127.0.0.0/+8',
  ]),
  ...rows('http://127.0.0.1:8080', false, ['127.0.0.0/8/8', '127.0.0.1/', '127.0.0.0/8.0']),
  ...rows('https://10.1.2.3', true, ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.3/8', '10.0.0.0/08', '10.1.2.3']),
  ...rows('https://10.1.2.3', false, ['10.2.0.0/16', '10.*', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8:80']),
  ...rows('http://[::1]:8080', true, ['::1/128', '[::1]/128', '[::]/0', '::/0', '::/127']),
  ...rows('http://[::1]:8080', false, ['fe80::/10', '0.0.0.0/0', '::1/129', '[::1/128]']),
  ...rows('http://[::ffff:127.0.0.1]:8080', true, ['127.0.0.0/8', '::ffff:0:0/96']),
]

export interface ProxyRow {
  env: Record<string, string>
  url: string
  /** Where the request goes; `refused` when Claude Code says that the proxy is none. */
  via: '127.0.0.1:3128' | '127.0.0.1:80' | '127.0.0.1:3129' | '[::1]:3128' | 'direct' | 'refused'
}

const OTHER = 'http://127.0.0.1:3129'
const HTTP = 'http://api.corp.example:8080'
const row = (via: ProxyRow['via'], url: string, env: Record<string, string>): ProxyRow => ({ env, url, via })

export const PROXY_ROWS: readonly ProxyRow[] = [
  // One order, for http as for https.
  row('127.0.0.1:3129', API, { HTTPS_PROXY: P, https_proxy: OTHER }),
  row('127.0.0.1:3128', API, { HTTPS_PROXY: P, http_proxy: OTHER }),
  row('127.0.0.1:3128', API, { HTTP_PROXY: P }),
  row('127.0.0.1:3128', API, { HTTPS_PROXY: '', HTTP_PROXY: P }),
  row('127.0.0.1:3128', API, { all_proxy: P, ALL_PROXY: OTHER }),
  row('127.0.0.1:3128', HTTP, { HTTPS_PROXY: P }),
  row('127.0.0.1:3129', HTTP, { HTTPS_PROXY: OTHER, HTTP_PROXY: P }),
  row('127.0.0.1:3129', HTTP, { http_proxy: OTHER, HTTP_PROXY: P }),
  row('127.0.0.1:3129', HTTP, { HTTPS_PROXY: OTHER, ALL_PROXY: P }),
  row('127.0.0.1:3128', HTTP, { ALL_PROXY: P }),
  row('direct', API, { HTTPS_PROXY: P, no_proxy: 'api.corp.example', NO_PROXY: 'x' }),
  row('127.0.0.1:3128', API, { HTTPS_PROXY: P, no_proxy: 'x', NO_PROXY: '*' }),
  row('direct', API, { HTTPS_PROXY: P, no_proxy: '', NO_PROXY: 'api.corp.example' }),
  // Without a scheme, except in HTTP_PROXY.
  row('127.0.0.1:3128', API, { HTTPS_PROXY: '127.0.0.1:3128' }),
  row('127.0.0.1:3128', HTTP, { HTTPS_PROXY: '127.0.0.1:3128' }),
  row('127.0.0.1:3128', HTTP, { ALL_PROXY: '127.0.0.1:3128' }),
  row('127.0.0.1:3129', API, { https_proxy: '127.0.0.1:3129', HTTPS_PROXY: P }),
  row('[::1]:3128', API, { HTTPS_PROXY: '[::1]:3128' }),
  row('[::1]:3128', API, { HTTPS_PROXY: 'http://[::1]:3128' }),
  row('direct', API, { HTTPS_PROXY: '127.0.0.1:3128', NO_PROXY: 'corp.example' }),
  row('refused', HTTP, { HTTP_PROXY: '127.0.0.1:3128' }),
  row('refused', API, { HTTP_PROXY: '127.0.0.1:3128' }),
  ...[
    '127.0.0.1',
    'junk',
    '//127.0.0.1:3128',
    'u:p@127.0.0.1:3128',
    '::1:3128',
    'http://::1:3128',
    'http://',
  ].map((HTTPS_PROXY) => row('refused', API, { HTTPS_PROXY })),
  ...['socks5://127.0.0.1:3128', 'ftp://127.0.0.1:3128'].map((HTTPS_PROXY) =>
    row('refused', API, { HTTPS_PROXY }),
  ),
  ...['user@127.0.0.1:3128', 'user@[::1]:3128', '127.0.0.1:3128/path', ' 127.0.0.1:3128'].map((HTTPS_PROXY) =>
    row('refused', API, { HTTPS_PROXY }),
  ),
  row('127.0.0.1:3128', API, { HTTPS_PROXY: '127.0.0.1:3128/' }),
  row('127.0.0.1:3128', API, { ALL_PROXY: '127.0.0.1:3128/path' }),
  row('127.0.0.1:80', API, { ALL_PROXY: '127.0.0.1' }),
  row('refused', API, { HTTPS_PROXY: 'junk', HTTP_PROXY: P }),
  // What is no address ends the start, but for ALL_PROXY, and what is no proxy only the way through it.
  ...['junk', 'http://', '::1:3128', 'u:p@127.0.0.1:3128', 'mailto:x', 'localhost/x'].map((HTTPS_PROXY) =>
    row('refused', API, { HTTPS_PROXY, NO_PROXY: '*' }),
  ),
  row('refused', HTTP, { HTTP_PROXY: 'localhost:3128', NO_PROXY: 'corp.example' }),
  row('direct', API, { HTTPS_PROXY: 'ftp://127.0.0.1:3128', NO_PROXY: 'corp.example' }),
  row('direct', API, { HTTP_PROXY: 'socks5://127.0.0.1:3128', NO_PROXY: '*' }),
  ...['junk', 'http://', '::1:3128'].map((ALL_PROXY) => row('direct', API, { ALL_PROXY, NO_PROXY: '*' })),
  // As the URL parser takes them.
  ...[
    'HTTP://127.0.0.1:3128',
    'http:127.0.0.1:3128',
    'http:/127.0.0.1:3128',
    ' http://127.0.0.1:3128 ',
    `${P}/path`,
  ].map((HTTPS_PROXY) => row('127.0.0.1:3128', API, { HTTPS_PROXY })),
]
