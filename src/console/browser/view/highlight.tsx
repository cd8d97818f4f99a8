import bash from 'highlight.js/lib/languages/bash'
import diff from 'highlight.js/lib/languages/diff'
import json from 'highlight.js/lib/languages/json'
import python from 'highlight.js/lib/languages/python'
import typescript from 'highlight.js/lib/languages/typescript'
import xml from 'highlight.js/lib/languages/xml'
import yaml from 'highlight.js/lib/languages/yaml'
import { createLowlight } from 'lowlight'
import { type ComponentChild, h } from 'preact'

/** What agents write most; each costs bytes of the bundle. Aliases (`ts`, `sh`, `html` …) come with them. */
const lowlight = createLowlight({ bash, diff, json, python, typescript, xml, yaml })
/** Characters: beyond them colours are not worth the wait. */
const CHARS_MAX = 20_000

type Tree = ReturnType<typeof lowlight.highlight>['children'][number]

/** The code in colours where its language is known, else as it is. */
export function highlighted(code: string, language: string | null | undefined): ComponentChild {
  const name = language?.toLowerCase() ?? ''
  if (code.length > CHARS_MAX || !lowlight.registered(name)) return code
  return lowlight.highlight(name, code).children.map(toNode)
}

function toNode(node: Tree): ComponentChild {
  if (node.type === 'text') return node.value
  if (node.type !== 'element') return null
  const names = node.properties['className']
  return h('span', { class: Array.isArray(names) ? names.join(' ') : '' }, node.children.map(toNode))
}
