import { readFileSync } from 'node:fs'
import { DockerfileParser, type ModifiableInstruction, type PropertyInstruction } from 'dockerfile-ast'

/** One instruction as a builder reads it. */
export interface Instruction {
  line: number
  keyword: string
  /** Everything behind keyword and flags, as one line. */
  text: string
  flags: Readonly<Record<string, string>>
  /** Its words; of a JSON form its strings, of a shell form none. */
  words: readonly string[]
  isJson: boolean
  /** Of ARG, ENV and LABEL, unquoted; an ARG without a default has no value. */
  pairs: readonly (readonly [name: string, value: string | undefined])[]
}

export interface Stage {
  name: string
  image: string
  instructions: readonly Instruction[]
}

export interface Dockerfile {
  source: string
  instructions: readonly Instruction[]
  stages: readonly Stage[]
}

const SHELL_FORMS = ['RUN', 'CMD', 'ENTRYPOINT']

export function readDockerfile(file = 'Dockerfile.openshell'): Dockerfile {
  return parseDockerfile(readFileSync(file, 'utf8'))
}

export function parseDockerfile(source: string): Dockerfile {
  const instructions = DockerfileParser.parse(source)
    .getInstructions()
    .map((node): Instruction => {
      const flags = 'getFlags' in node ? (node as ModifiableInstruction).getFlags() : []
      const pairs = 'getProperties' in node ? (node as PropertyInstruction).getProperties() : []
      const keyword = node.getKeyword()
      const text = node.getArgumentsContent() ?? ''
      const isJson = text.startsWith('[')
      const isShell = !isJson && SHELL_FORMS.includes(keyword)
      return {
        line: node.getRange().start.line + 1,
        keyword,
        text,
        flags: Object.fromEntries(flags.map((flag) => [flag.getName(), flag.getValue() ?? ''])),
        words: isJson ? JSON.parse(text) : isShell ? [] : node.getArguments().map(String),
        isJson,
        pairs: pairs.map((pair) => [pair.getName(), pair.getValue() ?? undefined]),
      }
    })
  return { source, instructions, stages: stagesOf(instructions) }
}

function stagesOf(instructions: readonly Instruction[]): Stage[] {
  const starts = instructions.flatMap(({ keyword }, index) => (keyword === 'FROM' ? [index] : []))
  return starts.map((start, number) => {
    const [image = '', as, name = ''] = instructions[start]?.words ?? []
    return {
      image,
      name: as === undefined ? String(number) : name,
      instructions: instructions.slice(start + 1, starts[number + 1]),
    }
  })
}

/** Replaces `$NAME` and `${NAME}`; what is not set becomes empty, as a builder has it. */
export function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced, bare) => variables[braced ?? bare] ?? '')
}
