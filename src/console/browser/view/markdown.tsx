import type { Nodes, RootContent, Table, TableRow } from 'mdast'
import { type ComponentChild, Fragment, h, type VNode } from 'preact'
import { useMemo, useRef } from 'preact/hooks'
import { GrowingMarkdown, type MarkdownPart } from '../model/markdown.ts'
import { CodeBlock } from './code-block.tsx'
import { memo } from './memo.ts'

/** Draws a text of the model as elements. Its HTML stays text, and its images become links. */
export function Markdown({ text, isOpen }: { text: string; isOpen: boolean }): VNode {
  const growing = useRef(new GrowingMarkdown())
  const parts = useMemo(
    () => (isOpen ? growing.current.parts(text) : growing.current.whole(text)),
    [text, isOpen],
  )
  return (
    <div class={isOpen ? 'prose open' : 'prose'}>
      {parts.map((part, index) => (
        <Part key={part.at} part={part} blocks={part.blocks} isOpen={isOpen && index === parts.length - 1} />
      ))}
    </div>
  )
}

interface PartProps {
  part: MarkdownPart
  blocks: readonly RootContent[]
  isOpen: boolean
}

const Part = memo<PartProps>(({ blocks, isOpen }) => (
  <Fragment>{blocks.map((block) => toNode(block, isOpen))}</Fragment>
))

function toNodes({ children }: { children: readonly Nodes[] }, isOpen: boolean): ComponentChild[] {
  return children.map((child) => toNode(child, isOpen))
}

function toNode(node: Nodes, isOpen: boolean): ComponentChild {
  const inside = (): ComponentChild[] => ('children' in node ? toNodes(node, isOpen) : [])
  switch (node.type) {
    case 'text':
    case 'html':
      return node.value
    case 'paragraph':
      return <p>{inside()}</p>
    case 'heading':
      // All of one level, below the page's own: a model leaves levels out, and whoever listens would miss them.
      return <h4 class={`depth-${node.depth}`}>{inside()}</h4>
    case 'strong':
      return <strong>{inside()}</strong>
    case 'emphasis':
      return <em>{inside()}</em>
    case 'delete':
      return <del>{inside()}</del>
    case 'inlineCode':
      return <code>{node.value}</code>
    case 'code':
      return <CodeBlock code={node.value} language={node.lang} isOpen={isOpen} />
    case 'blockquote':
      return <blockquote>{inside()}</blockquote>
    case 'break':
      return <br />
    case 'thematicBreak':
      return <hr />
    case 'list':
      return node.ordered === true ? <ol start={node.start ?? 1}>{inside()}</ol> : <ul>{inside()}</ul>
    case 'listItem':
      return (
        <li class={typeof node.checked === 'boolean' ? 'task' : ''}>
          {typeof node.checked === 'boolean' && (
            <input
              type="checkbox"
              disabled
              checked={node.checked}
              aria-label={node.checked ? 'done' : 'to do'}
            />
          )}
          {node.children.map((child) =>
            node.spread !== true && child.type === 'paragraph'
              ? toNodes(child, isOpen)
              : toNode(child, isOpen),
          )}
        </li>
      )
    case 'link':
      return toLink(node.url, inside())
    case 'image':
      return toLink(node.url, [`Image: ${node.alt ?? node.url}`])
    case 'table':
      return toTable(node, isOpen)
    case 'footnoteReference':
      return <sup>{node.label ?? node.identifier}</sup>
    case 'footnoteDefinition':
      return (
        <div class="footnote">
          <sup>{node.label ?? node.identifier}</sup> {inside()}
        </div>
      )
    case 'linkReference':
      return <Fragment>{inside()}</Fragment>
    default:
      return 'children' in node ? <Fragment>{inside()}</Fragment> : null
  }
}

/** A link to what a browser opens without harm; any other stays text. */
function toLink(url: string, children: ComponentChild[]): VNode {
  if (!/^(https?:|mailto:)/i.test(url)) return <Fragment>{children}</Fragment>
  return (
    <a href={url} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  )
}

function toTable({ align, children }: Table, isOpen: boolean): VNode {
  const [head, ...rows] = children
  const cells = (row: TableRow, tag: 'th' | 'td'): ComponentChild[] =>
    row.children.map((cell, index) => h(tag, { class: align?.[index] ?? '' }, toNodes(cell, isOpen)))
  return (
    <div class="table" tabIndex={0}>
      <table>
        {head !== undefined && (
          <thead>
            <tr>{cells(head, 'th')}</tr>
          </thead>
        )}
        <tbody>
          {rows.map((row) => (
            <tr>{cells(row, 'td')}</tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
