// The one place that makes elements. Text goes in as text nodes; nothing here, or anywhere in the page, parses HTML.

type Child = Node | string | undefined

interface Properties {
  class?: string
  title?: string
  attributes?: Readonly<Record<string, string>>
  on?: Readonly<Record<string, (event: Event) => void>>
}

export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  { class: name, title, attributes = {}, on = {} }: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag)
  if (name !== undefined) element.className = name
  if (title !== undefined) element.title = title
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener)
  element.append(...children.filter((child) => child !== undefined))
  return element
}

/** An element of the page's own HTML; `type` proves what it is. */
export function find<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id)
  if (!(element instanceof type)) throw new TypeError(`The page has no ${type.name} #${id}.`)
  return element
}

/** Sets what differs, so that selections, focus and animations of the rest live on. */
export function setText(element: Element, text: string): void {
  const [node] = element.childNodes
  if (!(node instanceof Text) || element.childNodes.length > 1) {
    element.replaceChildren(text)
  } else if (text.length > node.data.length && text.startsWith(node.data)) {
    node.appendData(text.slice(node.data.length))
  } else if (node.data !== text) {
    node.data = text
  }
}

/** `element` holds exactly `children`, in this order; those that stay are not moved. */
export function setChildren(element: Element, children: readonly Element[]): void {
  const wanted = new Set(children)
  for (const child of [...element.children]) if (!wanted.has(child)) child.remove()
  for (const [index, child] of children.entries()) {
    const there = element.children[index]
    if (there !== child) element.insertBefore(child, there ?? null)
  }
}

export function button(label: string, properties: Properties & { press(): void }): HTMLButtonElement {
  const { press, attributes, ...rest } = properties
  return make(
    'button',
    { ...rest, attributes: { type: 'button', ...attributes }, on: { click: press } },
    label,
  )
}
