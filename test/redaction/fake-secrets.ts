// Secrets that look real and are none, put together at run time so that no scanner finds one in the repository.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** The same on every run: a linear congruence, not chance. */
export function fake(length: number, alphabet = ALPHABET, seed = 7): string {
  let state = seed
  return Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2147483648
    return alphabet[Math.floor((state / 2147483648) * alphabet.length)]
  }).join('')
}

const HEX = '0123456789abcdef'
const CAPITALS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

export const FAKE_JWT = [
  base64url({ alg: 'HS256', typ: 'JWT' }),
  base64url({ sub: '1234567890', name: 'Nobody' }),
  fake(43),
].join('.')

const pemLines = Array.from({ length: 6 }, (_, line) => fake(64, `${ALPHABET}+/`, line + 3))

export const FAKE_PEM = [
  `-----BEGIN ${'PRIVATE'} KEY-----`,
  ...pemLines,
  fake(20, ALPHABET, 77),
  `-----END ${'PRIVATE'} KEY-----`,
].join('\n')

export interface FakeToken {
  name: string
  /** The text it stands in; `secret` is the part of it that must go. */
  text: string
  secret: string
}

function token(name: string, prefix: string, body: string): FakeToken {
  return { name, text: prefix + body, secret: prefix + body }
}

function inContext(name: string, before: string, [secret, after = '']: [string, string?]): FakeToken {
  return { name, text: before + secret + after, secret }
}

/** Every well-known form once. */
export const FAKE_TOKENS: readonly FakeToken[] = [
  token('Anthropic', 'sk-' + 'ant-api03-', `${fake(60)}-${fake(30)}_AA`),
  token('OpenAI', 'sk' + '-', fake(48)),
  token('OpenAI project', 'sk-' + 'proj-', fake(64)),
  ...['p', 'o', 'u', 's', 'r'].map((kind) => token(`GitHub gh${kind}`, `gh${kind}_`, fake(36))),
  token('GitHub App since 2026', 'gh' + 's_', `1234567_${FAKE_JWT}`),
  token('GitHub fine-grained', 'github' + '_pat_', `${fake(22)}_${fake(59)}`),
  token('GitLab', 'gl' + 'pat-', fake(20)),
  token('AWS key id', 'AK' + 'IA', fake(16, CAPITALS)),
  token('AWS temporary key id', 'AS' + 'IA', fake(16, CAPITALS)),
  inContext('AWS secret', 'aws_secret_' + 'access_key = ', [fake(40, `${ALPHABET}+/`)]),
  inContext('AWS secret in JSON', '"Secret' + 'AccessKey": "', [fake(40), '"']),
  inContext('AWS session', 'AWS_SESSION_' + 'TOKEN=', [fake(160, `${ALPHABET}+/`)]),
  inContext('Azure storage', 'Account' + 'Key=', [`${fake(86)}==`, ';']),
  ...['b', 'p', 'a', 's'].map((kind) => token(`Slack ${kind}`, `xox${kind}-`, `123456789012-${fake(24)}`)),
  token('Slack app', 'xa' + 'pp-', `1-A0123456789-${fake(32)}`),
  inContext('Slack webhook', 'https://hooks.' + 'slack.com/services/', [
    `T${fake(9)}/B${fake(9)}/${fake(24)}`,
  ]),
  token('Google API', 'AI' + 'za', fake(35)),
  token('Google OAuth', 'ya' + '29.', fake(60)),
  token('Google client', 'GOC' + 'SPX-', fake(28)),
  ...['sk_live_', 'sk_test_', 'rk_live_'].map((prefix) => token(`Stripe ${prefix}`, prefix, fake(24))),
  token('Stripe webhook', 'wh' + 'sec_', fake(32)),
  token('npm', 'np' + 'm_', fake(36)),
  token('PyPI', 'pypi-' + 'AgE', `IcHlwaS5vcmc${fake(80)}`),
  token('Hugging Face', 'h' + 'f_', fake(34)),
  token('Docker', 'dckr_' + 'pat_', fake(27)),
  token('DigitalOcean', 'dop_' + 'v1_', fake(64, HEX)),
  token('Vault', 'hv' + 's.', fake(90)),
  token('SendGrid', 'S' + 'G.', `${fake(22)}.${fake(43)}`),
  token('JWT', '', FAKE_JWT),
  token('PEM private key', '', FAKE_PEM),
  token(
    'encrypted PEM',
    'DEK' + '-Info: ',
    `AES-128-CBC,${fake(32, 'ABCDEF0123456789')}\n\n${pemLines.join('\n')}\n-----END RSA ${'PRIVATE'} KEY-----`,
  ),
  inContext('password in a URL', 'postgres://app:', [fake(18), '@db.internal:5432/app']),
  inContext('password in a URL without a user', 'redis://:', [`${fake(12)}%2F${fake(4)}`, '@cache/0']),
  inContext('Bearer', 'Bearer' + ' ', [fake(43)]),
  inContext('Basic', 'Authorization: ' + 'Basic ', [`${fake(31)}=`]),
]

/** Values as an environment has them, each awkward in its own way. */
export const FAKE_VALUES: Readonly<Record<string, string>> = {
  plain: `pw-${fake(20, ALPHABET, 11)}`,
  'as short as may be': fake(8, ALPHABET, 12),
  'quotes and backslashes': `q"${fake(6, ALPHABET, 13)}\\${fake(6, ALPHABET, 14)}'`,
  'spaces and signs': `two words & ${fake(6, ALPHABET, 15)}/+=?`,
  'beyond ASCII': `pässwörd-${fake(8, ALPHABET, 16)}-\u{1f511}`,
  'repeats itself': 'abcabcabcabd',
}
