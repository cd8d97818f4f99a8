// The forms of recognizable tokens. They were taken by hand from the vendors' pages and from the rules of gitleaks and
// secretlint, whose regular expressions have no bounds and so cannot be matched across deltas.
import { type CharacterClass, createClass } from './character-class.ts'

export interface FormStep {
  characters: CharacterClass
  min: number
  max: number
}

/** A literal prefix, then steps. Each step takes what it can, and the next one starts at the first other character. */
export interface TokenForm {
  name: string
  /** The alternatives for the beginning. */
  prefixes: readonly string[]
  /** Parts that are shown: the prefix, the steps before `secretFrom` and, with `keepsLast`, the last character. */
  context?: { secretFrom: number; keepsLast?: boolean }
  /** Whether the prefix must begin a word. */
  startsWord: boolean
  /** The steps. When the last one has its `min`, the text is a token. */
  steps: readonly FormStep[]
  /** Steps that still belong to a recognized token. */
  tail: readonly FormStep[]
  /** Whether a following letter or digit means that the text is no token. */
  isExact?: boolean
  /** Checks the matched text, from the prefix on. */
  check?(text: string): boolean
}

const UNBOUNDED = Number.POSITIVE_INFINITY

const WORD = 'A-Za-z0-9'
const BASE64 = 'A-Za-z0-9+/'
const BASE64URL = 'A-Za-z0-9_-'
const HEX = '0-9a-fA-F'
const BREAK = ' \\t\\r\\n\\\\'

const step = (range: string, min: number, max = min): FormStep => ({
  characters: createClass(range),
  min,
  max,
})
const rest = (range: string): FormStep => step(range, 0, UNBOUNDED)
const literal = (text: string): FormStep[] =>
  [...text].map((char) => step(char.replace(/[\\\]^-]/, '\\$&'), 1))

/** A distinctive prefix, then at least `min` characters of `range`. */
function plain(name: string, prefixes: readonly string[], [range, min]: [string, number]): TokenForm {
  return { name, prefixes, startsWord: true, steps: [step(range, min)], tail: [rest(range)] }
}

/** A prefix, then exactly `length` characters of `range`: a longer word is something else. */
function exact(name: string, prefixes: readonly string[], [range, length]: [string, number]): TokenForm {
  return { name, prefixes, startsWord: true, steps: [step(range, length)], tail: [], isExact: true }
}

/** How often the kind of character must change in text that counts as random. */
const CHANGES_MIN = 5

/** Whether the text changes between small letters, capitals and digits more often than words do. */
function isMixed(text: string): boolean {
  let changes = 0
  let before = ''
  for (const char of text.replace(/[^A-Za-z0-9]/g, '')) {
    const kind = char <= '9' ? 'digit' : char <= 'Z' ? 'capital' : 'small'
    if (before !== '' && kind !== before) changes += 1
    before = kind
  }
  return changes >= CHANGES_MIN
}

const AWS_ASSIGNMENT = [step(' \'"\\\\', 0, 4), step('=:', 1, 1), step(' \'"\\\\', 0, 4)]
const OPENSSL_TAIL = [rest(`${BASE64}=${BREAK}`), step('-', 0, 5), step('A-Z ', 0, 40), step('-', 0, 5)]
const JSON_OBJECT = 'eyJ'

export const TOKEN_FORMS: readonly TokenForm[] = [
  plain('anthropic', ['sk-ant-'], [BASE64URL, 20]),
  plain('openai', ['sk-'], [WORD, 32]),
  // The token of a control plane's runner: claims and signature, separated by a dot.
  plain('acp-runner', ['acp-runner-v1.'], [`.${BASE64URL}`, 20]),
  {
    ...plain('openai-scoped', ['sk-proj-', 'sk-svcacct-', 'sk-admin-', 'sk-or-v1-'], [BASE64URL, 24]),
    check: isMixed,
  },
  plain('github', ['ghp_', 'gho_', 'ghu_', 'ghr_'], [`${WORD}_`, 36]),
  {
    // Since 2026 an App's token is `ghs_`, the App's number and a JWT with its dots.
    ...plain('github-app', ['ghs_'], [`${WORD}_`, 36]),
    tail: [rest(BASE64URL), step('.', 0, 1), rest(BASE64URL), step('.', 0, 1), rest(BASE64URL)],
  },
  plain('github-fine-grained', ['github_pat_'], [`${WORD}_`, 36]),
  plain(
    'gitlab',
    ['glpat-', 'gldt-', 'glrt-', 'glptt-', 'glcbt-', 'glft-', 'glsoat-', 'glagent-'],
    [BASE64URL, 20],
  ),
  exact('aws-key-id', ['AKIA', 'ASIA', 'ABIA', 'ACCA'], ['A-Z0-9', 16]),
  {
    name: 'aws-secret',
    prefixes: ['aws_secret_access_key', 'AWS_SECRET_ACCESS_KEY', 'secretAccessKey', 'SecretAccessKey'],
    context: { secretFrom: AWS_ASSIGNMENT.length },
    startsWord: false,
    steps: [...AWS_ASSIGNMENT, step(BASE64, 40)],
    tail: [rest(`${BASE64}=`)],
  },
  {
    name: 'aws-session',
    prefixes: ['aws_session_token', 'AWS_SESSION_TOKEN', 'sessionToken', 'SessionToken'],
    context: { secretFrom: AWS_ASSIGNMENT.length },
    startsWord: false,
    steps: [...AWS_ASSIGNMENT, step(BASE64, 100)],
    tail: [rest(`${BASE64}=`)],
  },
  {
    name: 'azure-account-key',
    prefixes: ['AccountKey='],
    context: { secretFrom: 0 },
    startsWord: false,
    steps: [step(BASE64, 60)],
    tail: [rest(`${BASE64}=`)],
  },
  plain(
    'slack',
    ['b', 'p', 'a', 'r', 's', 'e', 'o', 'c', 'd'].map((kind) => `xox${kind}-`),
    [`${WORD}-`, 16],
  ),
  plain('slack-app', ['xapp-'], [`${WORD}-`, 24]),
  {
    name: 'slack-webhook',
    prefixes: ['hooks.slack.com/services/'],
    context: { secretFrom: 0 },
    startsWord: false,
    steps: [step(`${WORD}/`, 24)],
    tail: [rest(`${WORD}/`)],
  },
  exact('google-api', ['AIza'], [BASE64URL, 35]),
  plain('google-oauth', ['ya29.'], [BASE64URL, 24]),
  plain('google-client', ['GOCSPX-'], [BASE64URL, 24]),
  plain('stripe', ['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_'], [WORD, 16]),
  plain('stripe-webhook', ['whsec_'], [`${BASE64}=`, 24]),
  plain('npm', ['npm_'], [WORD, 36]),
  plain('pypi', ['pypi-AgE'], [BASE64URL, 30]),
  plain('huggingface', ['hf_'], [WORD, 32]),
  plain('docker', ['dckr_pat_', 'dckr_oat_'], [BASE64URL, 24]),
  plain('digitalocean', ['dop_v1_', 'doo_v1_', 'dor_v1_'], [HEX, 40]),
  plain('vault', ['hvs.', 'hvb.'], [BASE64URL, 24]),
  {
    name: 'sendgrid',
    prefixes: ['SG.'],
    startsWord: true,
    steps: [step(BASE64URL, 22), ...literal('.'), step(BASE64URL, 30)],
    tail: [rest(BASE64URL)],
  },
  {
    // Header and payload are JSON objects, so both begin with the base64 of `{"`. Three dotted words are no token.
    name: 'jwt',
    prefixes: [JSON_OBJECT],
    startsWord: true,
    steps: [step(BASE64URL, 10, 1024), ...literal(`.${JSON_OBJECT}`), step(BASE64URL, 8)],
    tail: [rest(BASE64URL), step('.', 0, 1), rest(BASE64URL)],
  },
  {
    name: 'private-key',
    prefixes: ['', 'RSA ', 'EC ', 'DSA ', 'OPENSSH ', 'ENCRYPTED '].map(
      (kind) => `-----BEGIN ${kind}PRIVATE KEY-----`,
    ),
    startsWord: false,
    steps: [step(BREAK, 1, 64), step(`${BASE64}=\\r\\n\\\\`, 24)],
    tail: OPENSSL_TAIL,
  },
  {
    name: 'private-key-encrypted',
    prefixes: ['DEK-Info: '],
    startsWord: true,
    steps: [
      step('A-Z0-9-', 3, 24),
      ...literal(','),
      step(HEX, 16, 64),
      step(BREAK, 1, 64),
      step(`${BASE64}\\r\\n\\\\`, 24),
    ],
    tail: OPENSSL_TAIL,
  },
  {
    name: 'private-key-pgp',
    prefixes: ['-----BEGIN PGP PRIVATE KEY BLOCK-----'],
    startsWord: false,
    steps: [step(BREAK, 1, 64), step(`${BASE64}=\\r\\n\\\\`, 24)],
    tail: OPENSSL_TAIL,
  },
  {
    // User and password hold no character that ends a URL's authority, so JSON between `://` and `@` is no password.
    name: 'url-password',
    prefixes: ['://'],
    context: { secretFrom: 2, keepsLast: true },
    startsWord: false,
    steps: [
      step("A-Za-z0-9._~%!$&'*+;=-", 0, 128),
      ...literal(':'),
      step('A-Za-z0-9._~%!$&*+=:^|-', 1, 256),
      ...literal('@'),
    ],
    tail: [],
  },
  {
    name: 'bearer',
    prefixes: ['Bearer ', 'bearer ', 'BEARER '],
    context: { secretFrom: 0 },
    startsWord: false,
    steps: [step('A-Za-z0-9._~+/-', 20)],
    tail: [rest('A-Za-z0-9._~+/=-')],
    check: (text) => isMixed(text.slice('bearer '.length)),
  },
  {
    name: 'basic',
    prefixes: ['uthorization: Basic ', 'uthorization: basic '],
    context: { secretFrom: 0 },
    startsWord: false,
    steps: [step(BASE64, 8)],
    tail: [rest(`${BASE64}=`)],
  },
]
