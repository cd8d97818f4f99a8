// hadolint's rules that can matter here, by its numbers, and a few of our own. hadolint itself is a binary that no
// package registry has.
import type { Dockerfile, Instruction } from './dockerfile.ts'

export interface Rule {
  name: string
  /** The lines that break it. */
  check(dockerfile: Dockerfile): number[]
  /** A Dockerfile that breaks it and nothing else need hold. */
  broken: string
}

const ROOT = /^(root|0)(:|$)/
const SECRET = /(token|secret|passw(or)?d|api_?key|auth|credential|private)/i
const lines = (all: readonly Instruction[]): number[] => all.map(({ line }) => line)

function where(test: (instruction: Instruction, dockerfile: Dockerfile) => boolean): Rule['check'] {
  return (dockerfile) => lines(dockerfile.instructions.filter((one) => test(one, dockerfile)))
}

function inRun(test: (text: string) => boolean): Rule['check'] {
  return where(({ keyword, text }) => keyword === 'RUN' && test(text))
}

/** The first value of each ARG, which is what FROM sees. */
function argument(dockerfile: Dockerfile, text: string): string {
  const name = /^\$\{?(\w+)\}?$/.exec(text)?.[1]
  const pairs = dockerfile.instructions.flatMap((one) => (one.keyword === 'ARG' ? one.pairs : []))
  return name === undefined ? text : (pairs.find(([key]) => key === name)?.[1] ?? '')
}

function fromImages(test: (image: string) => boolean): Rule['check'] {
  return where((one, dockerfile) => {
    const image = argument(dockerfile, one.words[0] ?? '')
    return one.keyword === 'FROM' && !dockerfile.stages.some(({ name }) => name === image) && test(image)
  })
}

function stageOf({ stages }: Dockerfile, one: Instruction): number {
  return stages.findIndex(({ instructions }) => instructions.includes(one))
}

/** Two of a kind in one stage. */
function repeated(keyword: string): Rule['check'] {
  return ({ stages }) =>
    stages.flatMap(({ instructions }) =>
      lines(instructions.filter((one) => one.keyword === keyword).slice(0, -1)),
    )
}

const LABEL_KEY = /^[a-z]([a-z0-9.-]*[a-z0-9])?$/
const LABELS = ['title', 'description', 'licenses', 'version', 'revision', 'created', 'base.name']

export const RULES: readonly Rule[] = [
  {
    name: 'DL1001 no rule is switched off in the file',
    check: ({ source }) =>
      source.split('\n').flatMap((line, at) => (/hadolint\s+.*ignore/.test(line) ? [at + 1] : [])),
    broken: 'FROM a\n# hadolint ignore=DL3002\nUSER root',
  },
  {
    name: 'DL3000 WORKDIR is absolute',
    check: where(({ keyword, text }) => keyword === 'WORKDIR' && !/^["']?[/$]/.test(text)),
    broken: 'FROM a\nWORKDIR app',
  },
  {
    name: 'DL3002 the last user is named and not root',
    check({ stages, instructions }) {
      const user = stages.at(-1)?.instructions.findLast(({ keyword }) => keyword === 'USER')
      return user === undefined || ROOT.test(user.text) ? [user?.line ?? instructions.at(-1)?.line ?? 1] : []
    },
    broken: 'FROM a\nUSER b\nUSER root',
  },
  {
    name: 'DL3003 WORKDIR, not cd',
    check: inRun((text) => /(^|[;&|]\s*)cd\s/.test(text)),
    broken: 'FROM a\nRUN cd /b && c',
  },
  { name: 'DL3004 no sudo', check: inRun((text) => /\bsudo\b/.test(text)), broken: 'FROM a\nRUN sudo b' },
  {
    name: 'DL3006 a base has a tag, and ours a digest',
    check: fromImages((image) => !/^[^@]+:[^@]+@sha256:[0-9a-f]{64}$/.test(image)),
    broken: `FROM a@sha256:${'0'.repeat(64)}`,
  },
  {
    name: 'DL3007 no latest',
    check: fromImages((image) => /:latest(@|$)/.test(image)),
    broken: 'FROM a:latest',
  },
  {
    name: 'DL3008, DL3009 apt installs versions that are named, without what is only recommended, and leaves no lists',
    check: inRun((text) => {
      const installs = [...text.matchAll(/\bapt-get install ([^&;]*)/g)].map(([, words = '']) =>
        words.trim().split(/\s+/),
      )
      const isPinned = installs.every((words) =>
        words.every((word) => /^(--yes|--no-install-recommends|'[\w.+-]+=[^']+')$/.test(word)),
      )
      const isLean = installs.every((words) => words.includes('--no-install-recommends'))
      return installs.length > 0 && !(isPinned && isLean && text.includes('rm -rf /var/lib/apt/lists/*'))
    }),
    broken: 'FROM a\nRUN apt-get update && apt-get install --yes iproute2',
  },
  {
    name: 'DL3013, DL3016, DL3018, DL3033 no other package manager than npm ci and that',
    check: inRun((text) =>
      /\b(apt|apk|yum|dnf|microdnf|pip3?|gem|cargo|go|npx|yarn|pnpm)\s+(\S+\s+)*?(install|add|update|upgrade|i)\b|\bnpm\s+(i|install|update|exec)\b|\bnpx\b/.test(
        text,
      ),
    ),
    broken: 'FROM a\nRUN npm install -g @anthropic-ai/claude-code',
  },
  {
    name: 'npm runs no package’s install script, and nothing is unpinned by force',
    check: inRun((text) =>
      /\bnpm (ci|prune)\b(?![^&|;]*--ignore-scripts)|--force\b|--legacy-peer-deps/.test(text),
    ),
    broken: 'FROM a\nRUN npm ci --omit=dev && npm prune --ignore-scripts',
  },
  {
    name: 'DL3020 COPY, not ADD',
    check: where(({ keyword }) => keyword === 'ADD'),
    broken: 'FROM a\nADD b c',
  },
  {
    name: 'DL3021 COPY of several files goes to a folder',
    check: where(
      ({ keyword, words }) => keyword === 'COPY' && words.length > 2 && !words.at(-1)?.endsWith('/'),
    ),
    broken: 'FROM a\nCOPY b c d',
  },
  {
    name: 'DL3022, DL3023 COPY --from names an earlier stage',
    check: where((one, dockerfile) => {
      const { stages } = dockerfile
      const from = one.flags['from']
      const earlier = stages.slice(0, stageOf(dockerfile, one)).map(({ name }) => name)
      return one.keyword === 'COPY' && from !== undefined && !earlier.includes(from)
    }),
    broken: 'FROM a AS b\nCOPY --from=b c d',
  },
  {
    name: 'DL3024 stages have names of their own',
    check: where(
      ({ keyword, words }, { stages }) =>
        keyword === 'FROM' && stages.filter(({ name }) => name === (words[2] ?? '')).length !== 1,
    ),
    broken: 'FROM a AS b\nFROM c AS b',
  },
  {
    name: 'DL3025 CMD and ENTRYPOINT in JSON form',
    check: where(({ keyword, isJson }) => ['CMD', 'ENTRYPOINT'].includes(keyword) && !isJson),
    broken: 'FROM a\nCMD b c',
  },
  {
    name: 'DL3026 no registry is named: whose it is, is the builder’s to say',
    check: fromImages((image) => /^[^/]*[.:][^/]*\//.test(image)),
    broken: 'FROM registry.example.com/a:1',
  },
  {
    name: 'DL3029 no platform in FROM',
    check: where(({ keyword, flags }) => keyword === 'FROM' && flags['platform'] !== undefined),
    broken: 'FROM --platform=linux/amd64 a',
  },
  {
    name: 'DL3044 ENV does not use what it sets',
    check: where(
      ({ keyword, pairs }) =>
        keyword === 'ENV' &&
        pairs.length > 1 &&
        pairs.some(([, value]) =>
          pairs.some(([name]) => value?.includes(`$${name}`) || value?.includes(`\${${name}}`)),
        ),
    ),
    broken: 'FROM a\nENV B=1 C=$B',
  },
  {
    name: 'DL3045 a relative COPY has a WORKDIR',
    check({ stages }) {
      return stages.flatMap(({ instructions }) => {
        const known = instructions.findIndex(({ keyword }) => keyword === 'WORKDIR')
        const before = known < 0 ? instructions : instructions.slice(0, known)
        return lines(
          before.filter(({ keyword, words }) => keyword === 'COPY' && !words.at(-1)?.startsWith('/')),
        )
      })
    },
    broken: 'FROM a\nCOPY b c',
  },
  {
    name: 'DL3046 useradd with a large number writes no log',
    check: inRun((text) =>
      text.split('&&').some((one) => /\buseradd\b/.test(one) && !/--no-log-init|\s-l\b/.test(one)),
    ),
    broken: 'FROM a\nRUN useradd -u 1000000 b',
  },
  {
    name: 'DL3048 to DL3058 labels have valid names, and the image OCI’s',
    check({ stages, instructions }) {
      const all = instructions.filter(({ keyword }) => keyword === 'LABEL')
      const wrong = all.filter(({ pairs }) => pairs.some(([name, value]) => !LABEL_KEY.test(name) || !value))
      const names = (stages.at(-1)?.instructions ?? []).flatMap((one) =>
        one.keyword === 'LABEL' ? one.pairs : [],
      )
      const has = (label: string): boolean =>
        names.some(([name]) => name === `org.opencontainers.image.${label}`)
      return [...lines(wrong), ...(LABELS.every(has) ? [] : [instructions.at(-1)?.line ?? 1])]
    },
    broken: 'FROM a\nLABEL Title=b',
  },
  {
    name: 'DL3059 steps that belong together are one RUN',
    check: ({ stages }) =>
      stages.flatMap(({ instructions }) =>
        lines(
          instructions.filter(
            ({ keyword }, at) => keyword === 'RUN' && instructions[at - 1]?.keyword === 'RUN',
          ),
        ),
      ),
    broken: 'FROM a\nRUN b\nRUN c',
  },
  {
    name: 'DL3061 the file starts with FROM or ARG',
    check: ({ instructions }) =>
      lines(instructions.slice(0, 1).filter(({ keyword }) => !['FROM', 'ARG'].includes(keyword))),
    broken: 'RUN a',
  },
  {
    name: 'DL4000 no MAINTAINER',
    check: where(({ keyword }) => keyword === 'MAINTAINER'),
    broken: 'FROM a\nMAINTAINER b',
  },
  { name: 'DL4003 one CMD', check: repeated('CMD'), broken: 'FROM a\nCMD ["b"]\nCMD ["c"]' },
  {
    name: 'DL4004 one ENTRYPOINT',
    check: repeated('ENTRYPOINT'),
    broken: 'FROM a\nENTRYPOINT ["b"]\nENTRYPOINT ["c"]',
  },
  {
    name: 'DL4006 no pipe without pipefail',
    check({ stages }) {
      return stages.flatMap(({ instructions }) => {
        const shell = instructions.find(({ keyword }) => keyword === 'SHELL')
        const piped = instructions.filter(({ keyword, text }) => keyword === 'RUN' && /[^|]\|[^|]/.test(text))
        return shell?.text.includes('pipefail') ? [] : lines(piped)
      })
    },
    broken: 'FROM a\nRUN b | c',
  },
  {
    name: 'nothing is fetched past the lock file',
    check: ({ source }) =>
      source
        .split('\n')
        .flatMap((line, at) =>
          /:\/\/|\bregistry\s*=|\b(wget|curl)\s+-?\w*\s*["'$\w]+[./]/i.test(line) ? [at + 1] : [],
        ),
    broken: 'FROM a\nRUN curl -fsS https://example.com/install.sh | bash',
  },
  {
    name: 'no secret is in ARG or ENV, where the image’s history keeps it',
    check: where(
      ({ keyword, pairs }) =>
        ['ARG', 'ENV', 'LABEL'].includes(keyword) && pairs.some(([name]) => SECRET.test(name)),
    ),
    broken: 'FROM a\nARG NPM_TOKEN',
  },
  {
    name: 'no comment stands inside an instruction, where a builder reads it and a shell may not',
    check: where(({ text }) => /\n/.test(text)),
    broken: 'FROM a\nRUN b && \\\n  # c\n  d',
  },
]
