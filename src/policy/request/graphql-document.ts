// Reads of a GraphQL document only what the rules need: the operation that would run, and its root fields.
import {
  BREAK,
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  visit,
} from 'graphql/language/index.js'
import { UnreadableError } from './strict-json.ts'

export interface DocumentOperation {
  type: 'query' | 'mutation' | 'subscription'
  name: string | undefined
  /** The root fields, sorted, with fragments resolved and without aliases. */
  fields: string[]
}

type Fragments = ReadonlyMap<string, FragmentDefinitionNode>

/** OpenShell's limits of tokens and of nested levels (net/l7/graphql.rs). */
const TOKENS_MAX = 20_000
const DEPTH_MAX = 128

/** The kinds of nodes that add a nested level. */
const NESTING: ReadonlySet<Kind> = new Set([Kind.SELECTION_SET, Kind.LIST, Kind.OBJECT, Kind.LIST_TYPE])

/** Returns the operation that a server runs for `operationName`. Throws UnreadableError when that is not certain. */
export function readDocument(source: string, operationName: string | undefined): DocumentOperation {
  const { operations, fragments } = definitionsOf(parseDocument(source))
  const names = operations.map(({ name }) => name?.value)
  if (new Set(names).size < names.length) throw new UnreadableError('two operations have the same name')
  const isNamed = operationName !== undefined && operationName !== ''
  const [chosen, ...others] = operations.filter(({ name }) => !isNamed || name?.value === operationName)
  if (chosen === undefined || others.length > 0) {
    throw new UnreadableError('it does not say which of its operations is to run')
  }
  const { operation, name, selectionSet } = chosen
  return { type: operation, name: name?.value, fields: rootFields(selectionSet, fragments) }
}

function parseDocument(source: string): DocumentNode {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no document may hold them, not even in a comment
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\ufeff]/.test(source)) {
    throw new UnreadableError('the document holds a control character')
  }
  const document = parsed(source)
  if (depthOf(document) > DEPTH_MAX) {
    throw new UnreadableError(`the document is nested deeper than ${DEPTH_MAX} levels`)
  }
  return document
}

function parsed(source: string): DocumentNode {
  try {
    return parse(source, { noLocation: true, maxTokens: TOKENS_MAX })
  } catch {
    // The parser's message quotes the document, so it is dropped. A document that exhausts the stack ends here too.
    throw new UnreadableError('the document has a syntax error, or is too long or too deep')
  }
}

/** Returns the number of nested levels; counting stops beyond `DEPTH_MAX`. */
function depthOf(document: DocumentNode): number {
  let depth = 0
  let deepest = 0
  visit(document, {
    enter({ kind }) {
      if (NESTING.has(kind)) depth += 1
      deepest = Math.max(deepest, depth)
      return depth > DEPTH_MAX ? BREAK : undefined
    },
    leave({ kind }) {
      if (NESTING.has(kind)) depth -= 1
    },
  })
  return deepest
}

function definitionsOf({ definitions }: DocumentNode): {
  operations: OperationDefinitionNode[]
  fragments: Fragments
} {
  const operations: OperationDefinitionNode[] = []
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) operations.push(definition)
    else if (definition.kind !== Kind.FRAGMENT_DEFINITION)
      throw new UnreadableError('the document defines types')
    else if (fragments.has(definition.name.value))
      throw new UnreadableError('two fragments have the same name')
    else fragments.set(definition.name.value, definition)
  }
  return { operations, fragments }
}

function rootFields(root: SelectionSetNode, fragments: Fragments): string[] {
  const fields = new Set<string>()
  const visited = new Set<string>()
  const waiting = [root]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const selection of next.selections) {
      if (selection.kind === Kind.FIELD) fields.add(selection.name.value)
      else if (selection.kind === Kind.INLINE_FRAGMENT) waiting.push(selection.selectionSet)
      else if (!visited.has(selection.name.value)) {
        const fragment = fragments.get(selection.name.value)
        if (fragment === undefined) throw new UnreadableError('it spreads a fragment that it does not define')
        visited.add(selection.name.value)
        waiting.push(fragment.selectionSet)
      }
    }
  }
  return [...fields].sort()
}
