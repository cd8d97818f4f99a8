import type { Nodes, Table, TableRow } from 'mdast'
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
        <Part
          key={part.at}
          blocks={part.blocks}
          urls={part.urls}
          isOpen={isOpen && index === parts.length - 1}
        />
      ))}
    </div>
  )
}

/** What a node is drawn with: whether its text still grows, and what its references stand for. */
interface Around extends Pick<MarkdownPart, 'urls'> {
  isOpen: boolean
}

const Part = memo<Around & Pick<MarkdownPart, 'blocks'>>(({ blocks, ...around }) => (
  <Fragment>{blocks.map((block) => toBlock(block, around))}</Fragment>
))

function toNodes({ children }: { children: readonly Nodes[] }, around: Around): ComponentChild[] {
  return children.map((child) => toNode(child, around))
}

/** A block. HTML between blocks keeps its lines; in a line it is a part of that. */
function toBlock(node: Nodes, around: Around): ComponentChild {
  return node.type === 'html' ? <p class="said dim">{node.value}</p> : toNode(node, around)
}

function toNode(node: Nodes, around: Around): ComponentChild {
  const inside = (): ComponentChild[] => ('children' in node ? toNodes(node, around) : [])
  switch (node.type) {
    case 'text':
      return node.value
    case 'html':
      return BREAK.test(node.value) ? <br /> : node.value
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
      return <CodeBlock code={node.value} language={node.lang} isOpen={around.isOpen} />
    case 'blockquote':
      return <blockquote>{node.children.map((child) => toBlock(child, around))}</blockquote>
    case 'break':
      return <br />
    case 'thematicBreak':
      return <hr />
    case 'list':
      return h(node.ordered === true ? 'ol' : 'ul', { dir: 'auto', start: node.start ?? undefined }, inside())
    case 'listItem':
      return (
        <li {...(typeof node.checked === 'boolean' ? { class: 'task', dir: 'auto' } : {})}>
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
              ? toNodes(child, around)
              : toBlock(child, around),
          )}
        </li>
      )
    case 'link':
      return toLink(node.url, inside())
    case 'image':
      return toLink(node.url, [`Image: ${node.alt || node.url}`])
    case 'linkReference':
      return toLink(around.urls.get(node.identifier) ?? '', inside())
    case 'imageReference':
      return toLink(around.urls.get(node.identifier) ?? '', [`Image: ${node.alt || node.identifier}`])
    case 'table':
      return toTable(node, around)
    case 'footnoteReference':
      return <sup>{node.label ?? node.identifier}</sup>
    case 'footnoteDefinition':
      return (
        <div class="footnote">
          <sup>{node.label ?? node.identifier}</sup> {inside()}
        </div>
      )
    default:
      return 'children' in node ? <Fragment>{inside()}</Fragment> : null
  }
}

/** The one element that Markdown has no sign for in a table. */
const BREAK = /^<br\s*\/?>$/i

/** A link to what a browser opens without harm; any other stays text. */
function toLink(url: string, children: ComponentChild[]): VNode {
  if (!/^(https?:|mailto:)/i.test(url)) return <Fragment>{children}</Fragment>
  return (
    <a href={url} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  )
}

function toTable({ align, children }: Table, around: Around): VNode {
  const [head, ...rows] = children
  const cells = (row: TableRow, tag: 'th' | 'td'): ComponentChild[] =>
    row.children.map((cell, index) => h(tag, { class: align?.[index] ?? '' }, toNodes(cell, around)))
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
